/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Children: what a process must know of those that it has made (bt_forks: they may hold what it
 * holds), and whether it is itself a vfork child.
 *
 * A vfork child has descriptors of its own but its parent's memory, and with it the parent's notes,
 * connection to berthd and settings: what is true of the child's descriptors must not be written
 * there. So a vfork child has no notes (bt_note) and asks the kernel each time, as after exec; its
 * closes are told to nobody; and for the rest it has a connection of its own (link.c).
 *
 * Who is one is the kernel's knowledge: it writes the child's number into bt_vforked before the
 * child runs, and 0 before the parent goes on (CLONE_CHILD_SETTID, CLONE_CHILD_CLEARTID), so that
 * no signal handler on either side can see it wrong. The variable is the thread's, which is
 * suspended meanwhile: the parent's other threads are not concerned.
 *
 * libc's own posix_spawn, system and popen call neither these nor other wrappers in their child.
 */
#include "preload.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>

__thread uint32_t bt_vforked;

static void forked(void)
{
	bt_forks++;
}

/* The copy of a vfork child's memory is its own, but for the notes, which are its grandparent's. */
static void in_child(void)
{
	bt_forks++;
	if (bt_vforked != 0)
		bt_notes_forget();
	bt_vforked = 0;
}

__attribute__((constructor)) static void watch_forks(void)
{
	/* Parent and child alike: from now on each of them is not alone. */
	pthread_atfork(NULL, forked, in_child);
}

/* These children have descriptors of ours until they exec, and those without FD_CLOEXEC for good.
 */
PUBLIC int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *fa,
		       const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
	forked();
	return bt_real()->posix_spawn(pid, path, fa, attr, argv, envp);
}

PUBLIC int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *fa,
			const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
	forked();
	return bt_real()->posix_spawnp(pid, file, fa, attr, argv, envp);
}

/* libc makes their child inside itself. */
PUBLIC int system(const char *command)
{
	forked();
	return bt_real()->system(command);
}

PUBLIC FILE *popen(const char *command, const char *type)
{
	forked();
	return bt_real()->popen(command, type);
}

/* clone(2) as libc has it, with a stack for the child: Qt starts programs so. */
PUBLIC int clone(int (*run)(void *), void *stack, int flags, void *arg, ...)
{
	const int like_vfork = CLONE_VM | CLONE_VFORK,
		  tell = CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
	va_list ap;
	va_start(ap, arg);
	pid_t *parent_tid = va_arg(ap, pid_t *);
	void *tls = va_arg(ap, void *), *child_tid = va_arg(ap, void *);
	va_end(ap);
	uint32_t before = bt_vforked;
	if (!(flags & CLONE_FILES))
		forked();
	if ((flags & (like_vfork | tell | CLONE_FILES | CLONE_SETTLS)) != like_vfork)
		return bt_real()->clone(run, stack, flags, arg, parent_tid, tls, child_tid);
	int r = bt_real()->clone(run, stack, flags | tell, arg, parent_tid, tls, &bt_vforked);
	bt_vforked = before;
	return r;
}

/* ---- vfork ---- */

__attribute__((used)) pid_t bt_vfork_failed(int e);
__attribute__((used)) pid_t bt_vfork_failed(int e)
{
	errno = e;
	return -1;
}

#define STRING(x)   #x
#define CONSTANT(x) STRING(x)
#define VFORK_FLAGS CLONE_VM | CLONE_VFORK | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD

#if defined(__x86_64__)
/*
 * vfork returns twice, to a caller's frame of which the child overwrites what lies below: so the
 * return address is kept in a register (r9), as is the number of a vfork child that calls it itself
 * (r8). The child jumps, so that a shadow stack, if there is one, stays the parent's.
 */
__asm__(".pushsection .text\n.globl vfork\n.type vfork,@function\nvfork:\n"
	"	lock incl bt_forks(%rip)\n"
	"	popq %r9\n"
	"	movq bt_vforked@gottpoff(%rip), %r10\n"
	"	movl %fs:(%r10), %r8d\n"
	"	addq %fs:0, %r10\n" /* child_tid */
	"	movl $" CONSTANT(VFORK_FLAGS) ", %edi\n"
					      "	xorl %esi, %esi\n" /* stack: the parent's */
					      "	xorl %edx, %edx\n"
					      "	movl $" CONSTANT(
						      SYS_clone) ", %eax\n"
								 "	syscall\n"
								 "	testq %rax, %rax\n"
								 "	jz 1f\n"
								 "	pushq %r9\n"
								 "	movl %r8d, (%r10)\n"
								 "	js 2f\n"
								 "	ret\n"
								 "1:	jmp *%r9\n"
								 "2:	movl %eax, %edi\n"
								 "	negl %edi\n"
								 "	jmp bt_vfork_failed\n"
								 ".size vfork,.-vfork\n");
#endif
