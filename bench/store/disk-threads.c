/*
 * What the disk gives: THREADS threads each write a file of SIZE octets into DIR/tmp, sync it, give it its name in DIR/msg by link, and
 * start over, COUNT files together; with FOLDER 1 it syncs DIR/msg each time, without which the name is not durable. Prints files a second.
 *     cc -O2 -pthread -o disk-threads disk-threads.c && ./disk-threads DIR THREADS COUNT SIZE FOLDER
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *directory;
static int count, size, folder = -1;
static char *octets;
static atomic_int next;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void *store(void *unused) {
  char written[4096], named[4096];
  for (int at; (at = atomic_fetch_add(&next, 1)) < count;) {
    snprintf(written, sizeof written, "%s/tmp/%d", directory, at);
    snprintf(named, sizeof named, "%s/msg/%d", directory, at);
    int file = open(written, O_CREAT | O_EXCL | O_WRONLY, 0600);
    if (file < 0 || write(file, octets, size) != size) fail(written);
    if (fsync(file) != 0 || close(file) != 0) fail(written);
    if (link(written, named) != 0) fail(named);
    if (folder >= 0 && fsync(folder) != 0) fail("msg");
  }
  return unused;
}

int main(int arguments, char **argument) {
  if (arguments != 6) return fprintf(stderr, "usage: disk-threads DIR THREADS COUNT SIZE FOLDER\n"), 64;
  directory = argument[1];
  int threads = atoi(argument[2]);
  count = atoi(argument[3]);
  size = atoi(argument[4]);
  char path[4096];
  for (int at = 0; at < 2; at++) {
    snprintf(path, sizeof path, "%s/%s", directory, at ? "msg" : "tmp");
    if (mkdir(path, 0700) != 0) fail(path);
  }
  if (atoi(argument[5]) == 1 && (folder = open(path, O_RDONLY | O_DIRECTORY)) < 0) fail(path);
  octets = malloc(size);
  memset(octets, 'x', size);
  pthread_t *thread = calloc(threads, sizeof *thread);
  struct timespec start, end;
  clock_gettime(CLOCK_MONOTONIC, &start);
  for (int at = 0; at < threads; at++) pthread_create(&thread[at], NULL, store, NULL);
  for (int at = 0; at < threads; at++) pthread_join(thread[at], NULL);
  clock_gettime(CLOCK_MONOTONIC, &end);
  printf("%.0f\n", count / (end.tv_sec - start.tv_sec + (end.tv_nsec - start.tv_nsec) / 1e9));
  return 0;
}
