// The Verilated accelerator with a memory around it, behind a C interface (for ctypes).
//
// A cycle is two evaluations: with the clock low the core sees this cycle's inputs and every
// handshake is sampled; then the clock rises, and only then do the inputs change. What the memory
// offers never depends on what the core does in the same cycle.
//
// Memory: every port accepts up to 8 bursts; the first data of a read come `latency` cycles after
// its address, the answer to a write as long after its last beat; all ports share one bandwidth,
// beat by beat in turn. A write reaches the memory when it is answered and a read sees what was
// there when its address was accepted: a core that does not wait for its answers reads old bytes.
// With random stalls both happen at either end of their time, by chance.
//
// Breaches of the AXI protocol by the core are errors; the first one stays until the end.

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "Vtop.h"
#include "verilated.h"
#if VM_COVERAGE
#include "verilated_cov.h"
#endif
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif

// What the core reports through assertions or $fatal ends the call, not the process.
void vl_finish(const char*, int, const char*) {}
void vl_stop(const char* file, int line, const char* hier) {
  throw std::runtime_error("assertion failed at " + std::string(file) + ":" +
                           std::to_string(line) + " in " + hier);
}
void vl_fatal(const char* file, int line, const char* hier, const char* message) {
  throw std::runtime_error(std::string(message) + " at " + file + ":" + std::to_string(line) +
                           " in " + hier);
}

namespace {

constexpr unsigned MaxBeats = 16;
constexpr unsigned MaxOutstanding = 8;
constexpr unsigned BeatBytes = 8;
constexpr uint64_t BoundaryBytes = 4096;
constexpr unsigned WriteFifoBeats = 32;
constexpr uint64_t LiteTimeout = 100000;
constexpr uint64_t PollCycles = 64;
constexpr uint64_t NoData = 0xDEADDEADDEADDEAD;  // what a read beat with an error carries

enum Response : uint8_t { Okay = 0, Slverr = 2, Decerr = 3 };
enum Channel { ChAr, ChR, ChAw, ChW, ChB, ChLite, Channels };

// Element `index` of a packed vector port, whatever type Verilator gave it.
template <typename T>
uint64_t get(const T& signal, unsigned index, unsigned width) {
  const uint64_t mask = width == 64 ? ~0ULL : (1ULL << width) - 1;
  return (static_cast<uint64_t>(signal) >> (width * index % 64)) & mask;
}
template <std::size_t N>
uint64_t get(const VlWide<N>& signal, unsigned index, unsigned) {  // 64-bit elements only
  return signal.m_storage[2 * index] | static_cast<uint64_t>(signal.m_storage[2 * index + 1]) << 32;
}
template <typename T>
void put(T& signal, unsigned index, unsigned width, uint64_t value) {
  const unsigned shift = width * index % 64;
  const uint64_t mask = (width == 64 ? ~0ULL : (1ULL << width) - 1) << shift;
  signal = static_cast<T>((static_cast<uint64_t>(signal) & ~mask) | (value << shift));
}
template <std::size_t N>
void put(VlWide<N>& signal, unsigned index, unsigned, uint64_t value) {
  signal.m_storage[2 * index] = static_cast<uint32_t>(value);
  signal.m_storage[2 * index + 1] = static_cast<uint32_t>(value >> 32);
}

std::string hex(uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15ULL + 0x1234567) {}
  bool chance(uint64_t threshold) { return threshold && (next() >> 32) < threshold; }
  bool coin() { return next() >> 63; }

 private:
  uint64_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545F4914F6CDD1DULL;
  }
  uint64_t state_;
};

// The valid side of a channel that the core drives: valid and payload hold until ready.
struct Held {
  bool pending = false;
  uint64_t a = 0, b = 0;
};

struct Burst {
  uint64_t address = 0, due = 0;
  unsigned beats = 0;
  bool early = true;  // a read takes its data, or a write puts them, as soon as it may
  std::array<uint64_t, MaxBeats> data{};
  std::array<uint8_t, MaxBeats> strobe{};
};

struct ReadPort {
  std::deque<Burst> queue;
  unsigned beat = 0;  // of the oldest burst
  bool ar_ready = false, r_valid = false, r_last = false;
  uint64_t r_data = 0;
  uint8_t r_response = 0;
  uint64_t beats = 0;
  Held ar;
};

struct WriteBeat {
  uint64_t data;
  uint8_t strobe;
  bool last;
};

struct WritePort {
  std::deque<Burst> addresses, answers;
  std::deque<WriteBeat> fifo;
  unsigned beat = 0;
  bool aw_ready = false, w_ready = false, b_valid = false;
  uint8_t b_response = 0;
  uint64_t beats = 0;
  Held aw, w;
};

struct ErrorRange {
  uint64_t first, end;
  uint8_t response;
};

struct TraceEvent {  // as in winogen.emulation.rtl.core
  uint64_t start, end;
  uint32_t index, engine;
};

// One access at a time; `busy` until it has been answered.
struct Lite {
  bool busy = false, write = false;
  bool aw = false, w = false, ar = false, ready = false;  // what the core sees
  bool aw_sent = false, w_sent = false, ar_sent = false;
  uint32_t address = 0, data = 0, result = 0;
  uint8_t response = 0;
  uint64_t since = 0;
  Held r, b;
};

}  // namespace

struct WinogenSim {
  WinogenSim(uint8_t* memory, uint64_t base, uint64_t size, uint32_t latency, double rate,
             uint64_t seed)
      : random(seed), memory(memory), base(base), size(size), latency(latency), rate(rate) {
    context->randReset(2);  // only builds with random initial values look at it
    context->randSeed(static_cast<int>(seed % 0x7FFFFFFF) + 1);
#if VM_TRACE
    context->traceEverOn(true);
#endif
    dut = std::make_unique<Vtop>(context.get(), "core");
    reads.resize(sizeof(dut->m_axi_rd_araddr_o) / 8 + 1);  // the last one is the fetch port
    drive();
    dut->rst_ni = 0;
    for (int i = 0; i < 8; i++) tick();
    dut->rst_ni = 1;
  }

  ~WinogenSim() {
#if VM_TRACE
    waves.reset();
#endif
    if (!dead) dut->final();
  }

  // Time

  void tick() {
    dut->clk_i = 0;
    dut->eval();
    dump(2 * cycle);
    if (dut->rst_ni) sample();
    dut->clk_i = 1;
    dut->eval();
    dump(2 * cycle + 1);
    drive();
    cycle++;
  }

  void dump(uint64_t time) {
    context->time(time);
#if VM_TRACE
    if (waves) waves->dump(time);
#endif
  }

  void fail(const std::string& what) {
    if (error.empty()) error = what + " (cycle " + std::to_string(cycle) + ")";
  }

  void hold(Held& held, const char* channel, bool valid, bool ready, uint64_t a, uint64_t b) {
    if (held.pending) {
      if (!valid) {
        fail(std::string(channel) + "VALID fell before " + channel + "READY");
      } else if (a != held.a || b != held.b) {
        fail(std::string("the payload of ") + channel + " changed while it waited for READY");
      }
    }
    held.pending = valid && !ready;
    held.a = a;
    held.b = b;
  }

  // This cycle's handshakes, then what the memory offers in the next.
  void sample() {
    const unsigned ports = reads.size() - 1;
    for (unsigned p = 0; p < ports; p++) {
      sample_read(reads[p], get(dut->m_axi_rd_arvalid_o, p, 1), get(dut->m_axi_rd_araddr_o, p, 64),
                  get(dut->m_axi_rd_arlen_o, p, 8), get(dut->m_axi_rd_rready_o, p, 1));
    }
    sample_read(reads[ports], dut->m_axi_if_arvalid_o, dut->m_axi_if_araddr_o,
                dut->m_axi_if_arlen_o, dut->m_axi_if_rready_o);
    sample_write();
    sample_lite();
    sample_trace();
    serve();
  }

  bool stall(Channel channel) { return random.chance(stalls[channel]); }

  // Whether a burst is one that AXI3 and this memory know.
  void check_burst(const char* what, uint64_t address, unsigned length) {
    const uint64_t last = address + BeatBytes * (length + 1) - 1;
    if (length >= MaxBeats) {
      fail(std::string(what) + "LEN is " + std::to_string(length) + ", over 15");
    } else if (address % BeatBytes) {
      fail(std::string(what) + "ADDR " + hex(address) + " is no multiple of 8");
    } else if (address / BoundaryBytes != last / BoundaryBytes) {
      fail(std::string("the burst at ") + what + "ADDR " + hex(address) + " with " +
           std::to_string(length + 1) + " beats crosses a 4 KB boundary");
    }
  }

  Burst make_burst(uint64_t address, unsigned length) {
    Burst burst;
    burst.address = address;
    burst.beats = std::min(length + 1, MaxBeats);
    burst.due = cycle + latency;
    burst.early = !stalls_on || random.coin();
    return burst;
  }

  void sample_read(ReadPort& port, bool ar_valid, uint64_t address, unsigned length,
                   bool r_ready) {
    hold(port.ar, "AR", ar_valid, port.ar_ready, address, length);
    if (ar_valid && port.ar_ready) {
      check_burst("AR", address, length);
      port.queue.push_back(make_burst(address, length));
      if (port.queue.back().early) fetch(port.queue.back());
      active = cycle;
    }
    if (port.r_valid && r_ready) {
      port.r_valid = false;
      active = cycle;
    }
    port.ar_ready = port.queue.size() < MaxOutstanding && !stall(ChAr);
  }

  void sample_write() {
    const bool aw = dut->m_axi_wr_awvalid_o, w = dut->m_axi_wr_wvalid_o;
    hold(write.aw, "AW", aw, write.aw_ready, dut->m_axi_wr_awaddr_o, dut->m_axi_wr_awlen_o);
    hold(write.w, "W", w, write.w_ready, dut->m_axi_wr_wdata_o,
         dut->m_axi_wr_wstrb_o | dut->m_axi_wr_wlast_o << 8);
    if (aw && write.aw_ready) {
      check_burst("AW", dut->m_axi_wr_awaddr_o, dut->m_axi_wr_awlen_o);
      write.addresses.push_back(make_burst(dut->m_axi_wr_awaddr_o, dut->m_axi_wr_awlen_o));
      write.addresses.back().early &= stalls_on;
      active = cycle;
    }
    if (w && write.w_ready) {
      write.fifo.push_back({dut->m_axi_wr_wdata_o, dut->m_axi_wr_wstrb_o,
                            static_cast<bool>(dut->m_axi_wr_wlast_o)});
      active = cycle;
    }
    if (write.b_valid && dut->m_axi_wr_bready_o) {
      write.b_valid = false;
      active = cycle;
    }
    write.aw_ready =
        write.addresses.size() + write.answers.size() < MaxOutstanding && !stall(ChAw);
    if (!write.b_valid && !write.answers.empty() && write.answers.front().due <= cycle + 1 &&
        !stall(ChB)) {
      Burst& burst = write.answers.front();
      if (!burst.early) store(burst);
      write.b_response = worst(burst);
      write.b_valid = true;
      write.answers.pop_front();
    }
  }

  // Shares this cycle's bandwidth among the ports that can move a beat.
  void serve() {
    credit = std::min(credit + rate, rate + BeatBytes);
    const unsigned masters = reads.size() + 1;
    unsigned master = turn;
    for (unsigned n = 0; n < masters && credit >= BeatBytes; n++) {
      const bool moved = master < reads.size() ? serve_read(reads[master]) : serve_write();
      if (++master == masters) master = 0;
      if (moved) {
        credit -= BeatBytes;
        turn = master;
      }
    }
    write.w_ready = write.fifo.size() < WriteFifoBeats && !stall(ChW);
  }

  bool serve_read(ReadPort& port) {
    if (port.r_valid || port.queue.empty() || port.queue.front().due > cycle + 1 || stall(ChR)) {
      return false;
    }
    Burst& burst = port.queue.front();
    if (!burst.early && port.beat == 0) fetch(burst);
    port.r_response = response(burst.address + BeatBytes * port.beat);
    port.r_data = port.r_response == Okay ? burst.data[port.beat] : NoData;
    port.r_valid = true;
    port.r_last = ++port.beat == burst.beats;
    port.beats++;
    if (port.r_last) {
      port.queue.pop_front();
      port.beat = 0;
    }
    return true;
  }

  bool serve_write() {
    if (write.addresses.empty() || write.fifo.empty()) return false;
    Burst& burst = write.addresses.front();
    const WriteBeat beat = write.fifo.front();
    write.fifo.pop_front();
    burst.data[write.beat] = beat.data;
    burst.strobe[write.beat] = beat.strobe;
    write.beats++;
    const bool last = ++write.beat == burst.beats;
    if (beat.last != last) {
      fail(std::string("WLAST is ") + (beat.last ? "high" : "low") + " in beat " +
           std::to_string(write.beat) + " of " + std::to_string(burst.beats));
    }
    if (last) {
      burst.due = cycle + latency;
      if (burst.early) store(burst);
      write.answers.push_back(burst);
      write.addresses.pop_front();
      write.beat = 0;
    }
    return true;
  }

  // Memory

  uint8_t response(uint64_t address) const {
    for (const ErrorRange& range : errors) {
      if (address < range.end && address + BeatBytes > range.first) return range.response;
    }
    return address >= base && address - base + BeatBytes <= size ? Okay : Decerr;
  }

  uint8_t worst(const Burst& burst) const {
    uint8_t found = Okay;
    for (unsigned i = 0; i < burst.beats; i++) {
      found = std::max(found, response(burst.address + BeatBytes * i));
    }
    return found;
  }

  void fetch(Burst& burst) {
    for (unsigned i = 0; i < burst.beats; i++) {
      const uint64_t address = burst.address + BeatBytes * i;
      if (address >= base && address - base + BeatBytes <= size) {
        std::memcpy(&burst.data[i], memory + (address - base), BeatBytes);
      }
    }
  }

  void store(const Burst& burst) {
    for (unsigned i = 0; i < burst.beats; i++) {
      const uint64_t address = burst.address + BeatBytes * i;
      if (response(address) != Okay) continue;
      uint8_t* const place = memory + (address - base);
      if (burst.strobe[i] == 0xFF) {
        std::memcpy(place, &burst.data[i], BeatBytes);
      } else {
        for (unsigned k = 0; k < BeatBytes; k++) {
          if (burst.strobe[i] >> k & 1) place[k] = static_cast<uint8_t>(burst.data[i] >> 8 * k);
        }
      }
      dirty_first = std::min(dirty_first, address);
      dirty_end = std::max(dirty_end, address + BeatBytes);
    }
  }

  // Registers

  void sample_lite() {
    hold(lite.r, "AXI-Lite R", dut->s_axil_rvalid_o, dut->s_axil_rready_i, dut->s_axil_rdata_o,
         dut->s_axil_rresp_o);
    hold(lite.b, "AXI-Lite B", dut->s_axil_bvalid_o, dut->s_axil_bready_i, dut->s_axil_bresp_o, 0);
    if (dut->s_axil_bvalid_o && !(lite.aw_sent && lite.w_sent)) {
      fail("AXI-Lite BVALID without a write");
    }
    if (dut->s_axil_rvalid_o && !lite.ar_sent) fail("AXI-Lite RVALID without a read");
    if (!lite.busy) return;
    if (lite.write) {
      if (lite.aw && dut->s_axil_awready_o) lite.aw_sent = true;
      if (lite.w && dut->s_axil_wready_o) lite.w_sent = true;
      lite.aw = !lite.aw_sent && (lite.aw || !stall(ChLite));
      lite.w = !lite.w_sent && (lite.w || !stall(ChLite));
      if (dut->s_axil_bvalid_o && lite.ready) finish_lite(dut->s_axil_bresp_o);
    } else {
      if (lite.ar && dut->s_axil_arready_o) lite.ar_sent = true;
      lite.ar = !lite.ar_sent && (lite.ar || !stall(ChLite));
      if (dut->s_axil_rvalid_o && lite.ready) {
        lite.result = dut->s_axil_rdata_o;
        finish_lite(dut->s_axil_rresp_o);
      }
    }
    lite.ready = lite.busy && !stall(ChLite);
    if (lite.busy && cycle - lite.since > LiteTimeout) {
      fail(std::string("the AXI-Lite ") + (lite.write ? "write to " : "read of ") +
           hex(lite.address) + " is not answered");
      lite = Lite();
    }
  }

  void finish_lite(uint8_t response) {
    lite.response = response;
    lite.busy = lite.aw = lite.w = lite.ar = false;
    lite.aw_sent = lite.w_sent = lite.ar_sent = false;
  }

  // The access begins in the next cycle.
  void begin_lite(bool write_access, uint32_t address, uint32_t data) {
    lite.busy = true;
    lite.write = lite.aw = lite.w = write_access;
    lite.ar = !write_access;
    lite.ready = true;
    lite.address = address;
    lite.data = data;
    lite.since = cycle;
    drive();
  }

  uint32_t access(bool write_access, uint32_t address, uint32_t data) {
    while (lite.busy && error.empty()) tick();
    begin_lite(write_access, address, data);
    while (lite.busy && error.empty()) tick();
    return lite.result;
  }

  // Engines

  void sample_trace() {
    if (!dut->trace_start_o && !dut->trace_valid_o) return;
    active = cycle;
    for (unsigned engine = 0; engine < 3; engine++) {
      if (get(dut->trace_start_o, engine, 1)) {
        const auto index = static_cast<uint32_t>(get(dut->trace_start_index_o, engine, 20));
        begun[engine].push_back({cycle - origin, 0, index, engine});
      }
      if (get(dut->trace_valid_o, engine, 1)) {
        const uint32_t index = get(dut->trace_index_o, engine, 20);
        if (begun[engine].empty() || begun[engine].front().index != index) {
          fail("engine " + std::to_string(engine) + " completed instruction " +
               std::to_string(index) + ", which is not its oldest");
          continue;
        }
        begun[engine].front().end = cycle - origin;
        trace.push_back(begun[engine].front());
        begun[engine].pop_front();
      }
    }
  }

  void clear_trace() {
    for (auto& queue : begun) queue.clear();
    trace.clear();
    origin = active = cycle;
  }

  void drive() {
    const unsigned ports = reads.size() - 1;
    for (unsigned p = 0; p < ports; p++) {
      const ReadPort& port = reads[p];
      put(dut->m_axi_rd_arready_i, p, 1, port.ar_ready);
      put(dut->m_axi_rd_rvalid_i, p, 1, port.r_valid);
      put(dut->m_axi_rd_rdata_i, p, 64, port.r_data);
      put(dut->m_axi_rd_rresp_i, p, 2, port.r_response);
      put(dut->m_axi_rd_rlast_i, p, 1, port.r_last);
    }
    const ReadPort& fetch_port = reads[ports];
    dut->m_axi_if_arready_i = fetch_port.ar_ready;
    dut->m_axi_if_rvalid_i = fetch_port.r_valid;
    dut->m_axi_if_rdata_i = fetch_port.r_data;
    dut->m_axi_if_rresp_i = fetch_port.r_response;
    dut->m_axi_if_rlast_i = fetch_port.r_last;
    dut->m_axi_wr_awready_i = write.aw_ready;
    dut->m_axi_wr_wready_i = write.w_ready;
    dut->m_axi_wr_bvalid_i = write.b_valid;
    dut->m_axi_wr_bresp_i = write.b_response;
    dut->s_axil_awvalid_i = lite.aw;
    dut->s_axil_awaddr_i = lite.address;
    dut->s_axil_wvalid_i = lite.w;
    dut->s_axil_wdata_i = lite.data;
    dut->s_axil_wstrb_i = 0xF;
    dut->s_axil_bready_i = lite.write && lite.ready;
    dut->s_axil_arvalid_i = lite.ar;
    dut->s_axil_araddr_i = lite.address;
    dut->s_axil_rready_i = !lite.write && lite.ready;
  }

  // 0: max_cycles have passed; 1: the register `status` has shown `idle`; 2: nothing has happened
  // for `quiet` cycles (0: wait on); -1: error.
  int run(uint64_t max_cycles, uint32_t status, uint32_t idle, uint64_t quiet) {
    const uint64_t end = cycle + max_cycles;
    while (cycle < end) {
      const uint64_t stop = std::min(end, cycle + PollCycles);
      while (cycle < stop && error.empty()) tick();
      if (!error.empty()) return -1;
      if (access(false, status, 0) & idle) return error.empty() ? 1 : -1;
      if (!error.empty()) return -1;
      if (quiet && cycle - active > quiet) return 2;
    }
    return 0;
  }

  std::unique_ptr<VerilatedContext> context = std::make_unique<VerilatedContext>();
  std::unique_ptr<Vtop> dut;
#if VM_TRACE
  std::unique_ptr<VerilatedVcdC> waves;
#endif
  Random random;
  uint8_t* const memory;
  const uint64_t base, size;
  const uint32_t latency;
  const double rate;
  double credit = 0;
  unsigned turn = 0;
  std::vector<ReadPort> reads;
  WritePort write;
  Lite lite;
  std::array<uint64_t, Channels> stalls{};  // of 2**32
  bool stalls_on = false;
  std::vector<ErrorRange> errors;
  std::array<std::deque<TraceEvent>, 3> begun;
  std::vector<TraceEvent> trace;
  uint64_t cycle = 0, origin = 0, active = 0;
  uint64_t dirty_first = ~0ULL, dirty_end = 0;
  bool dead = false;  // the model threw, and cannot go on
  std::string error;
};

// The C interface. Functions that let time pass return without doing anything after an error.

#define WINOGEN_API extern "C" __attribute__((visibility("default")))

template <typename Work>
static void guarded(WinogenSim* sim, Work work) {
  if (sim->dead) return;
  try {
    work();
  } catch (const std::exception& problem) {
    sim->fail(problem.what());
    sim->dead = true;
  }
}

WINOGEN_API WinogenSim* winogen_create(uint8_t* memory, uint64_t base, uint64_t size,
                                       uint32_t latency, double bytes_per_cycle, uint64_t seed) {
  try {
    return new WinogenSim(memory, base, size, latency, bytes_per_cycle, seed);
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "%s\n", problem.what());
    return nullptr;
  }
}

WINOGEN_API void winogen_destroy(WinogenSim* sim) { delete sim; }

WINOGEN_API uint32_t winogen_read(WinogenSim* sim, uint32_t offset) {
  uint32_t value = 0;
  guarded(sim, [&] { value = sim->access(false, offset, 0); });
  return value;
}

WINOGEN_API void winogen_write(WinogenSim* sim, uint32_t offset, uint32_t value) {
  guarded(sim, [&] { sim->access(true, offset, value); });
}

// AXI-Lite response to the last access.
WINOGEN_API uint32_t winogen_response(const WinogenSim* sim) { return sim->lite.response; }

WINOGEN_API int winogen_run(WinogenSim* sim, uint64_t max_cycles, uint32_t status, uint32_t idle,
                            uint64_t quiet) {
  int result = -1;
  guarded(sim, [&] { result = sim->run(max_cycles, status, idle, quiet); });
  return result;
}

WINOGEN_API void winogen_step(WinogenSim* sim, uint64_t cycles) {
  guarded(sim, [&] {
    for (uint64_t i = 0; i < cycles && sim->error.empty(); i++) sim->tick();
  });
}

WINOGEN_API uint64_t winogen_cycles(const WinogenSim* sim) { return sim->cycle; }

WINOGEN_API int winogen_irq(const WinogenSim* sim) { return sim->dut->irq_o; }

WINOGEN_API const char* winogen_error(const WinogenSim* sim) { return sim->error.c_str(); }

// Channels as in winogen.emulation.rtl.core; anything else means all of them.
WINOGEN_API void winogen_set_stall(WinogenSim* sim, int channel, double probability) {
  for (int c = 0; c < Channels; c++) {
    if (c == channel || channel < 0 || channel >= Channels) {
      sim->stalls[c] = static_cast<uint64_t>(probability * 4294967296.0);
    }
  }
  sim->stalls_on = false;
  for (uint64_t threshold : sim->stalls) sim->stalls_on |= threshold != 0;
}

// Accesses to [first, end) are answered with `response` from now on; OKAY forgets all ranges.
WINOGEN_API void winogen_set_error(WinogenSim* sim, uint64_t first, uint64_t end,
                                   uint32_t response) {
  if (response == Okay) {
    sim->errors.clear();
  } else {
    sim->errors.push_back({first, end, static_cast<uint8_t>(response)});
  }
}

// The addresses written since the last call, as one range; 0 if there are none.
WINOGEN_API int winogen_take_written(WinogenSim* sim, uint64_t* first, uint64_t* end) {
  *first = sim->dirty_first;
  *end = sim->dirty_end;
  sim->dirty_first = ~0ULL;
  sim->dirty_end = 0;
  return *first < *end;
}

WINOGEN_API uint32_t winogen_read_ports(const WinogenSim* sim) { return sim->reads.size() - 1; }

// Beats of 8 bytes moved by a port: the read ports in order, then fetch, then write.
WINOGEN_API uint64_t winogen_beats(const WinogenSim* sim, uint32_t port) {
  return port < sim->reads.size() ? sim->reads[port].beats : sim->write.beats;
}

WINOGEN_API void winogen_trace_clear(WinogenSim* sim) { sim->clear_trace(); }

// Instructions completed since the trace was cleared, in the order of their completion.
WINOGEN_API uint64_t winogen_trace(const WinogenSim* sim, const TraceEvent** events) {
  *events = sim->trace.data();
  return sim->trace.size();
}

// 0 if this build has no coverage.
WINOGEN_API int winogen_write_coverage(WinogenSim* sim, const char* path) {
#if VM_COVERAGE
  sim->context->coveragep()->write(path);
  return 1;
#else
  static_cast<void>(sim), static_cast<void>(path);
  return 0;
#endif
}

// Writes waveforms (VCD) from now on, or no more if there is no path; 0 if this build has none.
WINOGEN_API int winogen_waves(WinogenSim* sim, const char* path) {
#if VM_TRACE
  sim->waves.reset();
  if (path == nullptr) return 1;
  sim->waves = std::make_unique<VerilatedVcdC>();
  sim->dut->trace(sim->waves.get(), 99);
  sim->waves->open(path);
  return 1;
#else
  static_cast<void>(sim), static_cast<void>(path);
  return 0;
#endif
}
