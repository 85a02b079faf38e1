// A library with the functions of a simulation, whose interrupt takes its time to answer: 300 ms
// for each look, at the end of which it uses what the simulation is made of. Freed memory is
// unmapped, so that whoever uses it ends the process, and not only sometimes.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>

struct Sim {
  volatile int looks;
};

extern "C" {

void* winogen_create(uint8_t*, uint64_t, uint64_t, uint32_t, double, uint64_t) {
  return mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

void winogen_destroy(void* sim) {
  std::puts("freed");
  std::fflush(stdout);
  munmap(sim, 4096);
  usleep(600000);  // so that who is in it does not get away with that because the process ends
}

int winogen_irq(void* sim) {
  usleep(300000);
  static_cast<Sim*>(sim)->looks = static_cast<Sim*>(sim)->looks + 1;
  return 0;
}

uint32_t winogen_read(void* sim, uint32_t) { return static_cast<Sim*>(sim)->looks; }
void winogen_write(void*, uint32_t, uint32_t) {}
int winogen_run(void*, uint64_t, uint32_t, uint32_t, uint64_t) { return 1; }
void winogen_step(void*, uint64_t) {}
uint64_t winogen_cycles(void*) { return 0; }
const char* winogen_error(void*) { return ""; }
void winogen_set_stall(void*, int, double) {}
void winogen_set_error(void*, uint64_t, uint64_t, uint32_t) {}
int winogen_take_written(void*, void*, void*) { return 0; }
uint32_t winogen_read_ports(void*) { return 2; }
uint64_t winogen_beats(void*, uint32_t) { return 0; }
void winogen_trace_clear(void*) {}
uint64_t winogen_trace(void*, void*) { return 0; }
int winogen_write_coverage(void*, const char*) { return 0; }
int winogen_waves(void*, const char*) { return 0; }

}  // extern "C"
