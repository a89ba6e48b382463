/* The floor of a fan-out: a program that does nothing but send the same bytes to each of many
 * sockets, some times a second. argv: sockets, bytes, rounds a second, seconds. Prints the
 * microseconds of CPU for each send. A child takes what is sent. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

static double now(clockid_t clock) {
    struct timespec at;
    clock_gettime(clock, &at);
    return at.tv_sec + at.tv_nsec / 1e9;
}

static void take(int *sockets, int count) {
    char taken[65536];
    struct epoll_event ready[256];
    int poll = epoll_create1(0);
    for (int i = 0; i < count; i++) {
        struct epoll_event wanted = {.events = EPOLLIN, .data.fd = sockets[i]};
        epoll_ctl(poll, EPOLL_CTL_ADD, sockets[i], &wanted);
    }
    for (;;) {
        int many = epoll_wait(poll, ready, 256, -1);
        for (int i = 0; i < many; i++)
            if (read(ready[i].data.fd, taken, sizeof taken) <= 0) _exit(0);
    }
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    int count = atoi(argv[1]), size = atoi(argv[2]), rate = atoi(argv[3]), sent = 0;
    double seconds = atof(argv[4]);
    int *ours = calloc(count, sizeof *ours), *theirs = calloc(count, sizeof *theirs);
    char *message = malloc(size);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 16) ||
        getsockname(listener, (struct sockaddr *)&address, &length))
        return 1;
    for (int i = 0; i < count; i++) {
        theirs[i] = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(theirs[i], (struct sockaddr *)&address, length)) return 1;
        if ((ours[i] = accept(listener, NULL, NULL)) < 0) return 1;
    }
    memset(message, '.', size);
    pid_t child = fork();
    if (!child) take(theirs, count);
    double begun = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    for (int round = 1; now(CLOCK_MONOTONIC) < begun + seconds; round++) {
        for (int i = 0; i < count; i++, sent++)
            if (send(ours[i], message, size, MSG_DONTWAIT | MSG_NOSIGNAL) != size) return 1;
        double rest = begun + (double)round / rate - now(CLOCK_MONOTONIC);
        if (rest > 0) usleep(rest * 1e6);
    }
    printf("%.3f\n", 1e6 * (now(CLOCK_PROCESS_CPUTIME_ID) - cpu) / sent);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return 0;
}
