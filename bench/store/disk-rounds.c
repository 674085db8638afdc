/*
 * What the disk gives to the steps of this store's deliveries, with nothing between but C: rounds of WRITERS files of SIZE octets in
 * DIR/msg, written side by side with a change set in DIR/tmp and an fsync of DIR/msg; then the change set is linked into DIR/log and that is
 * synced, and the next round begins. COUNT files together; prints files a second.
 *     cc -O2 -pthread -o disk-rounds disk-rounds.c && ./disk-rounds DIR WRITERS COUNT SIZE
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *directory;
static int writers, rounds, size, messages, entries;
static char *octets;
static pthread_barrier_t named, durable, committed;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void store(const char *folder, int writer, int round) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s/%d-%d", directory, folder, writer, round);
  int file = open(path, O_CREAT | O_EXCL | O_WRONLY | O_DSYNC, 0600);
  if (file < 0) fail(path);
  pthread_barrier_wait(&named);
  if (write(file, octets, size) != size || close(file) != 0) fail(path);
}

static void commit(int writer, int round) {
  char written[4096], entry[4096];
  snprintf(written, sizeof written, "%s/tmp/%d-%d", directory, writer, round);
  snprintf(entry, sizeof entry, "%s/log/%d", directory, round);
  if (link(written, entry) != 0 || fsync(entries) != 0 || unlink(written) != 0) fail(entry);
}

/* One for each message of a round, one for its change set, and one for the folder. */
static void *work(void *argument) {
  int writer = (int)(long)argument;
  for (int round = 0; round < rounds; round++) {
    if (writer < writers) store("msg", writer, round);
    else if (writer == writers) store("tmp", writer, round);
    else {
      pthread_barrier_wait(&named);
      if (fsync(messages) != 0) fail("msg");
    }
    pthread_barrier_wait(&durable);
    if (writer == writers) commit(writer, round);
    pthread_barrier_wait(&committed);
  }
  return NULL;
}

static int folder(const char *name) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  int opened;
  if (mkdir(path, 0700) != 0 || (opened = open(path, O_RDONLY | O_DIRECTORY)) < 0) fail(path);
  return opened;
}

int main(int arguments, char **argument) {
  if (arguments != 5) return fprintf(stderr, "usage: disk-rounds DIR WRITERS COUNT SIZE\n"), 64;
  directory = argument[1];
  writers = atoi(argument[2]);
  rounds = atoi(argument[3]) / writers;
  size = atoi(argument[4]);
  folder("tmp");
  messages = folder("msg");
  entries = folder("log");
  octets = malloc(size);
  memset(octets, 'x', size);
  pthread_barrier_t *barriers[] = {&named, &durable, &committed};
  for (int at = 0; at < 3; at++) pthread_barrier_init(barriers[at], NULL, writers + 2);
  pthread_t *thread = calloc(writers + 2, sizeof *thread);
  struct timespec start, end;
  clock_gettime(CLOCK_MONOTONIC, &start);
  for (int at = 0; at < writers + 2; at++) pthread_create(&thread[at], NULL, work, (void *)(long)at);
  for (int at = 0; at < writers + 2; at++) pthread_join(thread[at], NULL);
  clock_gettime(CLOCK_MONOTONIC, &end);
  printf("%.0f\n", rounds * writers / (end.tv_sec - start.tv_sec + (end.tv_nsec - start.tv_nsec) / 1e9));
  return 0;
}
