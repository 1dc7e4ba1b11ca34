/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files in which instruments read about the network: /proc/net is the host's (view/), and so is
 * what a host has of /proc/sys/net (berthd keeps it).
 *
 * What the program gets is a memfd with the text. One of a setting has the setting's name for its
 * own, so that it is known again after exec. Our write sets the value at once; what libc writes
 * inside itself (stdio) lands in the memfd, and is set when the stream is flushed or closed, or the
 * last holder ends.
 */
#include "preload.h"

#include "view.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SETTING_BYTES 4096 /* as much as a page of /proc/sys */
#define MEMFD_PREFIX  "/memfd:berth:"
#define MEMFD_RW      "+" /* then: opened for reading too, so what it holds is the text of a read */

bool bt_any_setting;

void bt_own_view(struct bt_view *v)
{
	bt_view_of(v, bt_table(), bt_netid(), bt_host());
}

/* ---- which file ---- */

enum file { NOT_OURS, OF_NET, OF_SETTINGS };

/* Cheap for what every program opens: nothing but a comparison. */
static inline bool may_be_proc(const char *path)
{
	return path[0] == '/' && (path[1] == '/' || path[1] == '.' ||
				  (path[1] == 'p' && path[2] == 'r' && path[3] == 'o' &&
				   path[4] == 'c' && path[5] == '/'));
}

/* Without double slashes and "/./"; false: too long for a file of ours. */
static bool tidy(const char *path, char *out, size_t size)
{
	size_t n = 0;
	while (*path != '\0') {
		if (path[0] == '/' && path[1] == '/') {
			path++;
		} else if (path[0] == '/' && path[1] == '.' &&
			   (path[2] == '/' || path[2] == '\0')) {
			path += 2;
		} else {
			if (n + 1 >= size)
				return false;
			out[n++] = *path++;
		}
	}
	out[n] = '\0';
	return true;
}

static const char *after(const char *s, const char *prefix)
{
	size_t n = strlen(prefix);
	return s != NULL && strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

static const char *after_number(const char *s)
{
	const char *p = s;
	while (p != NULL && *p >= '0' && *p <= '9')
		p++;
	return p != s ? p : NULL;
}

/* What follows /proc/net/ or /proc/sys/; it lies in `room`. */
static enum file which(const char *path, char room[256], const char **name)
{
	if (!tidy(path, room, 256))
		return NOT_OURS;
	const char *p = after(room, "/proc/"), *rest, *task;
	if (p == NULL)
		return NOT_OURS;
	if ((rest = after(p, "sys/")) != NULL) {
		*name = rest;
		return after(rest, "net/") != NULL ? OF_SETTINGS : NOT_OURS;
	}
	if ((rest = after(p, "net/")) == NULL) {
		if ((rest = after(p, "self")) == NULL && (rest = after(p, "thread-self")) == NULL)
			rest = after_number(p);
		if ((task = after(rest, "/task/")) != NULL)
			rest = after_number(task);
		rest = after(rest, "/net/");
	}
	if (rest == NULL || *rest == '\0' || rest[strlen(rest) - 1] == '/')
		return NOT_OURS;
	*name = rest;
	return OF_NET;
}

/* ---- memfds ---- */

static int memory_file(const char *name, const void *text, size_t n, int flags)
{
	long fd = bt_sys(SYS_memfd_create, (long)name, flags & O_CLOEXEC ? MFD_CLOEXEC : 0, 0, 0, 0,
			 0);
	if (fd < 0)
		return bt_fail((int)-fd);
	const char *p = text;
	while (n > 0) {
		long w = bt_sys(SYS_write, fd, (long)p, (long)n, 0, 0, 0);
		if (w < 0 && w != -EINTR) {
			bt_sys(SYS_close, fd, 0, 0, 0, 0, 0);
			return bt_fail((int)-w);
		}
		if (w > 0) {
			p += w;
			n -= (size_t)w;
		}
	}
	bt_sys(SYS_lseek, fd, 0, SEEK_SET, 0, 0, 0);
	bt_new_fd((int)fd);
	bt_note_clear((int)fd);
	return (int)fd;
}

static int open_net(const char *name, int flags)
{
	struct bt_buf text = {0};
	struct bt_view v;
	if ((flags & O_ACCMODE) != O_RDONLY)
		return bt_fail(EACCES);
	bt_own_view(&v);
	int e = bt_proc_net(&v, name, &text);
	int fd = e == 0 ? memory_file("berth-net", text.p, text.n, flags) : bt_fail(e);
	int saved = errno;
	bt_buf_done(&text);
	errno = saved;
	return fd;
}

/* ---- settings ---- */

/* text and *got: of a read; *taken: of a write, how many bytes Linux takes. 0 or errno. */
static int ask_setting(const char *name, const char *value, size_t n, char *text, size_t *got,
		       size_t *taken)
{
	char extra[512 + SETTING_BYTES];
	struct bt_req q;
	struct bt_rep rep;
	size_t len = strlen(name);
	if (len >= 512 || n > SETTING_BYTES)
		return EINVAL;
	memcpy(extra, name, len);
	bt_req_init(&q, BT_SYSCTL, NULL);
	q.extra = (uint32_t)len;
	if (value != NULL) {
		extra[len] = '\0';
		memcpy(extra + len + 1, value, n);
		q.extra = (uint32_t)(len + 1 + n);
		q.flags = BT_REQF_WRITE | BT_REQF_ROOT;
	}
	int e = bt_call(-1, &q, extra, &rep, text, got);
	if (e == 0 && taken != NULL)
		*taken = rep.value < n ? rep.value : n;
	return e;
}

bool bt_host_congestion(char *name, size_t size)
{
	char text[SETTING_BYTES];
	size_t got = sizeof(text);
	if (ask_setting("net/ipv4/tcp_congestion_control", NULL, 0, text, &got, NULL) != 0 ||
	    got < 2 || got > size)
		return false;
	memset(name, 0, size);
	memcpy(name, text, got - 1); /* without the new line */
	return true;
}

static void note_setting(int fd)
{
	/* Ours, so that a write is looked at; UDP, so that it never reaches the kernel first. */
	struct note n = {.flags = NOTE_OURS | NOTE_UDP | NOTE_SETTING, .forks = bt_forks};
	bt_note_set(fd, &n);
	bt_any_setting = true;
}

/* The text of a read; -2: not a host's own setting. */
static int open_setting(const char *name, const char *path, int flags)
{
	char text[SETTING_BYTES], label[256];
	size_t got = sizeof(text);
	bool writes = (flags & O_ACCMODE) != O_RDONLY;
	int e = ask_setting(name, NULL, 0, text, &got, NULL);
	if (e == ENETDOWN)
		return bt_fail(e);
	if (e != 0) {
		if (!writes)
			return -2;
		/* It is the machine's. */
		return bt_fail(bt_sys(SYS_faccessat, AT_FDCWD, (long)path, F_OK, 0, 0, 0) < 0
				       ? ENOENT
				       : EACCES);
	}
	if (writes && !bt_host_root()) /* as the mode 0644 of the kernel's files says */
		return bt_fail(EACCES);
	snprintf(label, sizeof(label), "%s%s%s", writes ? "berth:" : "berth-",
		 (flags & O_ACCMODE) == O_RDWR ? MEMFD_RW : "", name);
	if ((flags & O_ACCMODE) == O_WRONLY)
		got = 0;
	int fd = memory_file(label, text, got, flags);
	if (fd >= 0 && writes)
		note_setting(fd);
	return fd;
}

/* The name of the setting that a memfd of ours, opened for writing, stands for. */
static bool setting_name(int fd, char *name, size_t size, bool *reads)
{
	char path[32], link[300];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	long n = bt_sys(SYS_readlinkat, AT_FDCWD, (long)path, (long)link, sizeof(link) - 1, 0, 0);
	if (n <= 0)
		return false;
	link[n] = '\0';
	const char *p = after(link, MEMFD_PREFIX);
	if (p == NULL)
		return false;
	*reads = *p == MEMFD_RW[0];
	p += *reads;
	size_t len = strcspn(p, " ");
	if (len >= size)
		return false;
	memcpy(name, p, len);
	name[len] = '\0';
	return true;
}

ssize_t bt_setting_write(int fd, const struct msghdr *m)
{
	char name[256], text[SETTING_BYTES];
	size_t n = 0, total = 0, taken = 0;
	bool reads;
	for (size_t i = 0; i < m->msg_iovlen; i++) {
		const struct iovec *v = &m->msg_iov[i];
		size_t len = v->iov_len < sizeof(text) - n ? v->iov_len : sizeof(text) - n;
		if (len > 0 && bt_bad_pointer(v->iov_base))
			return bt_fail(EFAULT);
		memcpy(text + n, v->iov_base, len);
		n += len;
		total += v->iov_len;
	}
	if (!setting_name(fd, name, sizeof(name), &reads))
		return bt_fail(EBADF);
	/* Linux hears only what is written at the beginning (sysctl_writes_strict). */
	if (total == 0 || bt_sys(SYS_lseek, fd, 0, SEEK_CUR, 0, 0, 0) != 0)
		return (ssize_t)total;
	int e = total > sizeof(text) ? EINVAL : ask_setting(name, text, n, NULL, NULL, &taken);
	if (e != 0)
		return bt_fail(e);
	bt_sys(SYS_lseek, fd, (long)taken, SEEK_SET, 0, 0, 0);
	return (ssize_t)taken;
}

int bt_setting_flush(int fd)
{
	char name[256], text[SETTING_BYTES];
	struct stat st;
	bool reads;
	if (bt_sys(SYS_fstat, fd, (long)&st, 0, 0, 0, 0) < 0 || st.st_size == 0 ||
	    !setting_name(fd, name, sizeof(name), &reads) || reads)
		return 0;
	long n = bt_sys(SYS_pread64, fd, (long)text, sizeof(text), 0, 0, 0);
	bt_sys(SYS_ftruncate, fd, 0, 0, 0, 0, 0);
	if (n <= 0 || text[0] == '\0') /* a hole: not written at the beginning */
		return 0;
	return ask_setting(name, text, (size_t)n, NULL, NULL, NULL);
}

/* A shell has opened the file, and we are the program whose output it is. */
static void find_inherited(void)
{
	char name[256];
	struct stat st;
	bool reads;
	for (int fd = 0; fd < 3; fd++)
		if (bt_sys(SYS_fstat, fd, (long)&st, 0, 0, 0, 0) == 0 && S_ISREG(st.st_mode) &&
		    st.st_nlink == 0 && setting_name(fd, name, sizeof(name), &reads))
			note_setting(fd);
}

__attribute__((constructor)) static void start(void)
{
	if (bt_in_host())
		find_inherited();
}

__attribute__((destructor)) static void finish(void)
{
	if (!bt_any_setting)
		return;
	bt_real()->fflush(NULL);
	for (int fd = 0; fd < 1024; fd++) {
		const struct note *n = bt_note(fd);
		if (n != NULL && n->flags & NOTE_SETTING)
			bt_setting_flush(fd);
	}
}

/* ---- open ---- */

int bt_open_net(const char *path, int flags)
{
	char room[256];
	const char *name;
	if (bt_bad_pointer(path) || LIKELY(!may_be_proc(path)) || flags & (O_DIRECTORY | O_PATH) ||
	    !bt_in_host())
		return -2;
	switch (which(path, room, &name)) {
	case OF_NET:
		return bt_silenced() ? bt_fail(EACCES) : open_net(name, flags);
	case OF_SETTINGS:
		return bt_silenced() ? bt_fail(EACCES) : open_setting(name, room, flags);
	default:
		return -2;
	}
}

#define MODE_OF(flags)                                                                             \
	mode_t mode = 0;                                                                           \
	if ((flags) & (O_CREAT | O_TMPFILE)) {                                                     \
		va_list ap;                                                                        \
		va_start(ap, flags);                                                               \
		mode = va_arg(ap, mode_t);                                                         \
		va_end(ap);                                                                        \
	}

int open64(const char *path, int flags, ...);
int openat64(int dir, const char *path, int flags, ...);
int creat64(const char *path, mode_t mode);
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags);

PUBLIC int open(const char *path, int flags, ...)
{
	MODE_OF(flags)
	int fd = bt_open_net(path, flags);
	return LIKELY(fd == -2) ? bt_real()->open(path, flags, mode) : fd;
}

PUBLIC int open64(const char *path, int flags, ...)
{
	MODE_OF(flags)
	int fd = bt_open_net(path, flags);
	return LIKELY(fd == -2) ? bt_real()->open64(path, flags, mode) : fd;
}

PUBLIC int openat(int dir, const char *path, int flags, ...)
{
	MODE_OF(flags)
	int fd = bt_open_net(path, flags);
	return LIKELY(fd == -2) ? bt_real()->openat(dir, path, flags, mode) : fd;
}

PUBLIC int openat64(int dir, const char *path, int flags, ...)
{
	MODE_OF(flags)
	int fd = bt_open_net(path, flags);
	return LIKELY(fd == -2) ? bt_real()->openat64(dir, path, flags, mode) : fd;
}

PUBLIC int __open_2(const char *path, int flags)
{
	int fd = bt_open_net(path, flags);
	return LIKELY(fd == -2) ? bt_real()->__open_2(path, flags) : fd;
}

PUBLIC int __open64_2(const char *path, int flags)
{
	int fd = bt_open_net(path, flags);
	return LIKELY(fd == -2) ? bt_real()->__open64_2(path, flags) : fd;
}

PUBLIC int __openat_2(int dir, const char *path, int flags)
{
	int fd = bt_open_net(path, flags);
	return LIKELY(fd == -2) ? bt_real()->__openat_2(dir, path, flags) : fd;
}

PUBLIC int __openat64_2(int dir, const char *path, int flags)
{
	int fd = bt_open_net(path, flags);
	return LIKELY(fd == -2) ? bt_real()->__openat64_2(dir, path, flags) : fd;
}

PUBLIC int creat(const char *path, mode_t mode)
{
	return open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
}

PUBLIC int creat64(const char *path, mode_t mode)
{
	return open64(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
}

/* ---- stdio ---- */

static int mode_flags(const char *mode)
{
	int flags = mode[0] == 'r' ? O_RDONLY : O_WRONLY;
	for (const char *p = mode + (mode[0] != '\0'); *p != '\0' && *p != ','; p++) {
		if (*p == '+')
			flags = (flags & ~O_ACCMODE) | O_RDWR;
		else if (*p == 'e')
			flags |= O_CLOEXEC;
	}
	return flags;
}

/* -2: libc's to open. */
static int our_stream(const char *path, const char *mode)
{
	if (bt_bad_pointer(path) || LIKELY(!may_be_proc(path)) || bt_bad_pointer(mode))
		return -2;
	return bt_open_net(path, mode_flags(mode));
}

static FILE *stream_of(int fd, const char *mode)
{
	FILE *f = fd >= 0 ? fdopen(fd, mode) : NULL;
	if (f == NULL && fd >= 0) {
		int saved = errno;
		close(fd);
		errno = saved;
	}
	return f;
}

PUBLIC FILE *fopen(const char *path, const char *mode)
{
	int fd = our_stream(path, mode);
	return LIKELY(fd == -2) ? bt_real()->fopen(path, mode) : stream_of(fd, mode);
}

FILE *fopen64(const char *path, const char *mode);
PUBLIC FILE *fopen64(const char *path, const char *mode)
{
	int fd = our_stream(path, mode);
	return LIKELY(fd == -2) ? bt_real()->fopen64(path, mode) : stream_of(fd, mode);
}

/* libc closes the stream's descriptor inside itself. */
static void leave(FILE *f)
{
	int fd = f != NULL && bt_any_setting ? fileno_unlocked(f) : -1;
	if (fd >= 0 && bt_setting_of(fd)) {
		fflush(f);
		bt_note_clear(fd);
	}
}

/* libc opens the memfd by its number's name, and puts it where the stream's descriptor was. */
static FILE *again(int fd, const char *mode, FILE *f)
{
	char path[32];
	if (fd < 0) {
		int saved = errno;
		bt_real()->fclose(f);
		errno = saved;
		return NULL;
	}
	bool setting = bt_setting_of(fd);
	leave(f);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	FILE *r = bt_real()->freopen(path, mode, f);
	int saved = errno;
	if (r != NULL) {
		if (setting)
			note_setting(fileno_unlocked(r));
	}
	close(fd);
	errno = saved;
	return r;
}

PUBLIC FILE *freopen(const char *path, const char *mode, FILE *f)
{
	int fd = our_stream(path, mode);
	if (LIKELY(fd == -2)) {
		leave(f);
		return bt_real()->freopen(path, mode, f);
	}
	return again(fd, mode, f);
}

FILE *freopen64(const char *path, const char *mode, FILE *f);
PUBLIC FILE *freopen64(const char *path, const char *mode, FILE *f)
{
	int fd = our_stream(path, mode);
	if (LIKELY(fd == -2)) {
		leave(f);
		return bt_real()->freopen64(path, mode, f);
	}
	return again(fd, mode, f);
}

/* A stream whose buffer goes into a setting: the kernel's write would have failed, so the flush
 * does. */
PUBLIC int fflush(FILE *f)
{
	int r = bt_real()->fflush(f);
	if (f == NULL || r != 0 || !bt_setting_of(fileno_unlocked(f)))
		return r;
	int e = bt_setting_flush(fileno_unlocked(f));
	if (e == 0)
		return 0;
	f->_flags |= _IO_ERR_SEEN;
	errno = e;
	return EOF;
}
