/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that the preload library cannot enter would run on the real network without a word. So
 * what the kernel and the dynamic loader will do is found out before exec: through scripts to the
 * interpreter, and by the interpreter's ELF header and mode bits.
 */
#include "program.h"

#include "cli.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { HEAD_BYTES = 4096, SCRIPT_LINE = 256, SCRIPT_LEVELS = 4, XATTR_BYTES = 64 };

/* This program's own ELF header, from the linker: what fits it, fits the preload library. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

/* ---- finding ---- */

static int not_found(const char *name)
{
	if (strchr(name, '/'))
		bt_say("%s: not found; check the path", name);
	else
		bt_say("%s: not found; install it or give its path, for it is in no directory of "
		       "PATH",
		       name);
	return BT_EXIT_NOT_FOUND;
}

static int not_executable(const char *path, bool dir)
{
	if (dir)
		bt_say("%s: is a directory; give the program in it", path);
	else
		bt_say("%s: may not be executed; make it executable with: chmod +x %s", path, path);
	return BT_EXIT_CANNOT_EXEC;
}

/* 0: path is a file that may be executed; otherwise an errno, EISDIR for a directory. */
static int probe(const char *path)
{
	struct stat st;
	if (stat(path, &st) != 0)
		return errno;
	if (S_ISDIR(st.st_mode))
		return EISDIR;
	return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0 ? 0 : EACCES;
}

static int search(const char *name, char path[PATH_MAX])
{
	const char *dirs = getenv("PATH");
	int found = ENOENT;
	if (!dirs)
		dirs = "/bin:/usr/bin";
	for (const char *d = dirs, *end; d; d = *end ? end + 1 : NULL) {
		char candidate[PATH_MAX];
		end = strchrnul(d, ':');
		int n = snprintf(candidate, sizeof(candidate), "%.*s%s%s", (int)(end - d), d,
				 end == d ? "" : "/", name);
		if (n < 0 || (size_t)n >= sizeof(candidate))
			continue;
		int err = probe(candidate);
		/* A directory that may not be searched is no reason to think that it is there. */
		if (err == EACCES && access(candidate, F_OK) != 0)
			continue;
		if (err == 0 || (err == EACCES && found == ENOENT))
			memcpy(path, candidate, (size_t)n + 1);
		if (err == 0)
			return 0;
		if (err == EACCES)
			found = EACCES;
	}
	return found;
}

int bt_program_find(const char *name, char path[PATH_MAX])
{
	int err;
	if (strchr(name, '/')) {
		int n = snprintf(path, PATH_MAX, "%s", name);
		err = n >= PATH_MAX ? ENAMETOOLONG : probe(path);
	} else {
		err = *name ? search(name, path) : ENOENT;
	}
	if (err == 0)
		return 0;
	if (err == EACCES || err == EISDIR)
		return not_executable(path, err == EISDIR);
	return not_found(name);
}

/* ---- what LD_PRELOAD survives ---- */

/* man 8 ld.so, "secure-execution mode": the loader ignores a LD_PRELOAD with slashes when the exec
 * raises privileges. */
static const char *raises_privileges(const char *path, const struct stat *st)
{
	char caps[XATTR_BYTES];
	struct statvfs fs;
	bool suid = (st->st_mode & S_ISUID) && st->st_uid != getuid();
	bool sgid = (st->st_mode & S_ISGID) && (st->st_mode & S_IXGRP) && st->st_gid != getgid();
	bool caps_set =
		getuid() != 0 && getxattr(path, "security.capability", caps, sizeof(caps)) > 0;
	/* Then the kernel ignores these bits, and the loader has no reason to. Capabilities are not
	 * given either, but the loader is told the same (cap_bprm_creds_from_file). */
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		suid = sgid = false;
	if (!suid && !sgid && !caps_set)
		return NULL;
	if (statvfs(path, &fs) == 0 && (fs.f_flag & ST_NOSUID))
		return NULL;
	return suid ? "set-uid" : sgid ? "set-gid" : "given capabilities";
}

/* ---- ELF ---- */

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

/* The dynamic loader that phdrs in image name; NULL: none there. */
static const char *interpreter(const unsigned char *image, size_t n, const ElfW(Ehdr) * eh)
{
	for (unsigned i = 0; i < eh->e_phnum; i++) {
		ElfW(Phdr) ph;
		size_t at = eh->e_phoff + (size_t)i * sizeof(ph);
		if (eh->e_phoff > n || at + sizeof(ph) > n)
			return NULL;
		memcpy(&ph, image + at, sizeof(ph));
		if (ph.p_type != PT_INTERP)
			continue;
		/* Somewhere else in the file: there is one, whatever its name. */
		if (ph.p_offset >= n || ph.p_filesz == 0 || ph.p_filesz > n - ph.p_offset ||
		    image[ph.p_offset + ph.p_filesz - 1] != '\0')
			return "";
		return (const char *)image + ph.p_offset;
	}
	return NULL;
}

/* Our own loader's name. Static linking leaves none, and then any will do. */
static const char *own_interpreter(void)
{
	const unsigned char *image = (const unsigned char *)&__ehdr_start;
	const ElfW(Ehdr) *eh = &__ehdr_start;
	/* The header, the program headers and .interp share the first page of every linker's
	 * output. */
	return interpreter(image, HEAD_BYTES, eh);
}

static int check_elf(const char *path, const unsigned char *image, size_t n)
{
	ElfW(Ehdr) eh;
	const ElfW(Ehdr) *own = &__ehdr_start;
	memcpy(&eh, image, sizeof(eh));
	if (eh.e_ident[EI_CLASS] != own->e_ident[EI_CLASS] ||
	    eh.e_ident[EI_DATA] != own->e_ident[EI_DATA] || eh.e_machine != own->e_machine) {
		bt_say("%s is built for another machine or word size than berth, so berth's "
		       "library "
		       "cannot enter it; use a build of it for this machine",
		       path);
		return BT_EXIT_CANNOT_EXEC;
	}
	if (eh.e_phentsize != sizeof(ElfW(Phdr)) || eh.e_phoff > n)
		return 0; /* the kernel will say what it thinks of it */
	const char *interp = interpreter(image, n, &eh), *own_interp = own_interpreter();
	/* The loader called by hand, as in `ld.so PROGRAM`, honours LD_PRELOAD. */
	bool is_loader = own_interp && strcmp(base_name(path), base_name(own_interp)) == 0;
	if (!interp && !is_loader) {
		bt_say("%s is a static program, which berth's library cannot enter; "
		       "use a dynamically linked build of it",
		       path);
		return BT_EXIT_CANNOT_EXEC;
	}
	if (interp && *interp && own_interp && *own_interp &&
	    strcmp(base_name(interp), base_name(own_interp)) != 0) {
		bt_say("%s is built for another C library (its loader is %s), so berth's library "
		       "cannot "
		       "enter it; use a build of it for this system's C library",
		       path, interp);
		return BT_EXIT_CANNOT_EXEC;
	}
	return 0;
}

/* ---- scripts ---- */

/* The next word of *s, in place; NULL: no more. */
static char *word(char **s)
{
	char *p = *s + strspn(*s, " \t");
	if (!*p)
		return NULL;
	*s = p + strcspn(p, " \t");
	if (**s)
		*(*s)++ = '\0';
	return p;
}

/* The program in env's arguments; found in PATH into path. False: not to be told, so env itself
 * decides. */
static bool env_program(char *args, char path[PATH_MAX])
{
	char *w;
	while ((w = word(&args))) {
		if (strncmp(w, "-S", 2) == 0 && w[2])
			w += 2;
		if (*w == '-' || strchr(w, '='))
			continue;
		if (strchr(w, '/'))
			return snprintf(path, PATH_MAX, "%s", w) < PATH_MAX && probe(path) == 0;
		return search(w, path) == 0;
	}
	return false;
}

static int check_level(const char *path, unsigned level);

static int check_script(const char *path, const unsigned char *image, size_t n, unsigned level)
{
	char line[SCRIPT_LINE], program[PATH_MAX], *rest = line;
	size_t len = n - 2 < sizeof(line) - 1 ? n - 2 : sizeof(line) - 1;
	memcpy(line, image + 2, len);
	line[len] = '\0';
	line[strcspn(line, "\n")] = '\0';
	const char *interp = word(&rest);
	if (!interp || level >= SCRIPT_LEVELS)
		return 0; /* exec(2) will say what it thinks of it */
	if (probe(interp) != 0) {
		bt_say("%s: its interpreter %s is not there or may not be executed; "
		       "install it or correct the first line",
		       path, interp);
		return BT_EXIT_CANNOT_EXEC;
	}
	int status = check_level(interp, level + 1);
	if (!status && strcmp(base_name(interp), "env") == 0 && env_program(rest, program))
		status = check_level(program, level + 1);
	return status;
}

static int check_level(const char *path, unsigned level)
{
	unsigned char image[HEAD_BYTES];
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, image, sizeof(image)) : 0;
	int stat_err = fd >= 0 ? fstat(fd, &st) : stat(path, &st);
	if (fd >= 0)
		close(fd);
	bool script = n > 2 && image[0] == '#' && image[1] == '!';
	/* The bits of a script mean nothing to the kernel. */
	const char *raised = stat_err || script ? NULL : raises_privileges(path, &st);
	if (raised) {
		bt_say("%s is %s, so the system keeps berth's library out of it; "
		       "run a copy of it without that (cp %s .)",
		       path, raised, path);
		return BT_EXIT_CANNOT_EXEC;
	}
	if (script)
		return check_script(path, image, (size_t)n, level);
	if (n >= (ssize_t)sizeof(ElfW(Ehdr)) && memcmp(image, ELFMAG, SELFMAG) == 0)
		return check_elf(path, image, (size_t)n);
	/* Not readable, a text without #! (run by sh), or another format of the kernel's. */
	return 0;
}

int bt_program_check(const char *path)
{
	return check_level(path, 0);
}
