/* A disk that fails: preloaded, it counts the file operations of a process below a folder, SQLite's and all others too,
 * and lets one of them fail, or all from it on. Built and used by failing_disk.py; Linux. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILES 65536
#define REPORT 512

static char root[4096];
static char mine[FILES];   /* descriptors of files and folders below the root */
static char *report;       /* shared with whoever asks afterwards: the count, and what failed first */
static long count, fails_at;
static int failure, once;
static char failed[200];

/* Begin: operations below `folder` are counted; number `at` fails with `error` (0: none), and all after it unless `one`. */
int disk_arm(const char *folder, const char *file, long at, int error, int one) {
    int handle = open(file, O_RDWR | O_CREAT | O_TRUNC, 0666);
    if (handle < 0 || ftruncate(handle, REPORT) < 0) return -1;
    report = mmap(NULL, REPORT, PROT_READ | PROT_WRITE, MAP_SHARED, handle, 0);
    close(handle);
    if (report == MAP_FAILED) return -1;
    snprintf(root, sizeof root, "%s", folder);
    fails_at = at, failure = error, once = one;
    return 0;
}

/* One more operation on a path, or a descriptor where there is none; whether it is to fail, errno being set. */
static int fails(const char *kind, const char *path, int handle) {
    long number = __sync_add_and_fetch(&count, 1);
    int now = failure && (number == fails_at || (number > fails_at && !once));
    if (now && !failed[0]) {
        char link[64], whole[4096] = "";
        snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
        if (!path && readlink(link, whole, sizeof whole - 1) > 0) path = whole;
        const char *name = path ? strrchr(path, '/') : NULL;
        snprintf(failed, sizeof failed, "%s %s", kind, name ? name + 1 : "");
    }
    snprintf(report, REPORT, "%ld %s", number, failed);
    if (now) errno = failure;
    return now;
}

static int below(const char *path) {
    size_t length = strlen(root);
    char whole[8192];
    if (!length || !path) return 0;
    if (path[0] != '/') {
        char here[4096];
        if (!getcwd(here, sizeof here)) return 0;
        snprintf(whole, sizeof whole, "%s/%s", here, path);
        path = whole;
    }
    return !strncmp(path, root, length) && (path[length] == '/' || !path[length]);
}

static int known(int handle) { return handle >= 0 && handle < FILES && mine[handle]; }

#define REAL(name) static __typeof__(&name) real; if (!real) real = dlsym(RTLD_NEXT, #name)

static int opened(int handle, int there) {
    if (handle >= 0 && handle < FILES) mine[handle] = (char)there;
    return handle;
}

#define OPEN(name)                                                                        \
    int name(const char *path, int flags, ...) {                                          \
        REAL(name);                                                                       \
        va_list rest;                                                                     \
        va_start(rest, flags);                                                            \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;           \
        va_end(rest);                                                                     \
        int there = below(path);                                                          \
        if (there && flags & (O_WRONLY | O_RDWR) && fails("open", path, -1)) return -1;             \
        return opened(real(path, flags, mode), there);                                    \
    }
#define OPENAT(name)                                                                      \
    int name(int folder, const char *path, int flags, ...) {                              \
        REAL(name);                                                                       \
        va_list rest;                                                                     \
        va_start(rest, flags);                                                            \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;           \
        va_end(rest);                                                                     \
        int there = below(path);                                                          \
        if (there && flags & (O_WRONLY | O_RDWR) && fails("open", path, -1)) return -1;             \
        return opened(real(folder, path, flags, mode), there);                            \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

int close(int handle) {
    REAL(close);
    if (handle >= 0 && handle < FILES) mine[handle] = 0;
    return real(handle);
}

ssize_t write(int handle, const void *data, size_t length) {
    REAL(write);
    return known(handle) && fails("write", NULL, handle) ? -1 : real(handle, data, length);
}
ssize_t writev(int handle, const struct iovec *parts, int number) {
    REAL(writev);
    return known(handle) && fails("write", NULL, handle) ? -1 : real(handle, parts, number);
}
ssize_t pwrite(int handle, const void *data, size_t length, off_t at) {
    REAL(pwrite);
    return known(handle) && fails("write", NULL, handle) ? -1 : real(handle, data, length, at);
}
ssize_t pwrite64(int handle, const void *data, size_t length, off64_t at) {
    REAL(pwrite64);
    return known(handle) && fails("write", NULL, handle) ? -1 : real(handle, data, length, at);
}
int fsync(int handle) {
    REAL(fsync);
    return known(handle) && fails("fsync", NULL, handle) ? -1 : real(handle);
}
int fdatasync(int handle) {
    REAL(fdatasync);
    return known(handle) && fails("fsync", NULL, handle) ? -1 : real(handle);
}
int ftruncate(int handle, off_t length) {
    REAL(ftruncate);
    return known(handle) && fails("truncate", NULL, handle) ? -1 : real(handle, length);
}
int ftruncate64(int handle, off64_t length) {
    REAL(ftruncate64);
    return known(handle) && fails("truncate", NULL, handle) ? -1 : real(handle, length);
}
int rename(const char *from, const char *to) {
    REAL(rename);
    return below(to) && fails("rename", to, -1) ? -1 : real(from, to);
}
int renameat(int one, const char *from, int other, const char *to) {
    REAL(renameat);
    return below(to) && fails("rename", to, -1) ? -1 : real(one, from, other, to);
}
int unlink(const char *path) {
    REAL(unlink);
    return below(path) && fails("unlink", path, -1) ? -1 : real(path);
}
int unlinkat(int folder, const char *path, int flags) {
    REAL(unlinkat);
    return below(path) && fails("unlink", path, -1) ? -1 : real(folder, path, flags);
}
int mkdir(const char *path, mode_t mode) {
    REAL(mkdir);
    return below(path) && fails("mkdir", path, -1) ? -1 : real(path, mode);
}
int mkdirat(int folder, const char *path, mode_t mode) {
    REAL(mkdirat);
    return below(path) && fails("mkdir", path, -1) ? -1 : real(folder, path, mode);
}
int symlink(const char *target, const char *path) {
    REAL(symlink);
    return below(path) && fails("symlink", path, -1) ? -1 : real(target, path);
}
int symlinkat(const char *target, int folder, const char *path) {
    REAL(symlinkat);
    return below(path) && fails("symlink", path, -1) ? -1 : real(target, folder, path);
}
