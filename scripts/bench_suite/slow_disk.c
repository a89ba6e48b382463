/* Preloaded, it makes each flush to the disk take longer, by SLOW_DISK_US microseconds: as on disks
 * that have no memory which outlives a power cut. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static int later(const char *name, int file) {
    int (*call)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    const char *more = getenv("SLOW_DISK_US");
    usleep(more ? atoi(more) : 0);
    return call(file);
}

int fsync(int file) { return later("fsync", file); }
int fdatasync(int file) { return later("fdatasync", file); }
