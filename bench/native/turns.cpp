#include "turns.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <random>

#if defined(__linux__)
#include <sched.h>
#include <time.h>
#endif

namespace bench {
namespace {

// In microseconds. A sample holds enough calls that reading the clock (2 in a virtual machine)
// does not show. A turn is long enough for the cache to be the call's own again and for a sleeping
// thread to wake, which takes up to 50.
constexpr double shortest_sample = 200;
constexpr double warm_up = 200;
constexpr double shortest_turn = 1000;
constexpr unsigned least_samples = 2;
constexpr unsigned least_rounds = 7;
constexpr unsigned most_rounds = 51;

double wall_clock() {
  using Clock = std::chrono::steady_clock;
  return std::chrono::duration<double, std::micro>(Clock::now().time_since_epoch()).count();
}

// The time that the calling thread had a core: what another program took of it does not count.
double own_clock() {
#if defined(__linux__)
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
#else
  return wall_clock();
#endif
}

double turn_of(const Call& call) {
  const auto clock = call.threads == 1 ? own_clock : wall_clock;
  const auto time_of = [&](unsigned calls) {
    const double begin = clock();
    for (unsigned index = 0; index < calls; ++index) call.run();
    return (clock() - begin) / calls;
  };
  double time = 0;
  for (double passed = 0; passed < warm_up; passed += time) time = time_of(1);
  const auto calls = static_cast<unsigned>(std::ceil(shortest_sample / time));
  double least = time_of(calls);
  double passed = least * calls;
  for (unsigned sample = 1; sample < least_samples || passed < shortest_turn; ++sample) {
    time = time_of(calls);
    least = std::min(least, time);
    passed += time * calls;
  }
  return least;
}

#if defined(__linux__)
// Keeps the calling thread on one processor, or lets it run on all that it could at first.
void stay_on(int processor) {
  static const cpu_set_t all = [] {
    cpu_set_t set;
    sched_getaffinity(0, sizeof set, &set);
    return set;
  }();
  cpu_set_t one;
  CPU_ZERO(&one);
  if (processor >= 0) CPU_SET(static_cast<unsigned>(processor), &one);
  sched_setaffinity(0, sizeof all, processor >= 0 ? &one : &all);
}
#else
void stay_on(int) {}
#endif

}  // namespace

std::vector<std::vector<Times>> time_rounds(const std::vector<std::vector<Call>>& groups,
                                            double seconds, int processor) {
  std::vector<std::vector<Times>> times;
  for (const auto& group : groups) times.emplace_back(group.size());
  std::minstd_rand random;
  const auto shuffled = [&random](std::size_t count) {
    std::vector<std::size_t> order(count);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::shuffle(order.begin(), order.end(), random);
    return order;
  };
  const auto over = [end = wall_clock() + seconds * 1e6] { return wall_clock() > end; };
  for (unsigned round = 0; round < most_rounds && (round < least_rounds || !over()); ++round) {
    for (const std::size_t group : shuffled(groups.size())) {
      for (const std::size_t index : shuffled(groups[group].size())) {
        const Call& call = groups[group][index];
        stay_on(call.threads == 1 ? processor : -1);
        times[group][index].push_back(turn_of(call));
      }
    }
  }
  return times;
}

double median(Times values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

#if defined(__linux__)
int last_processor() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return -1;
  for (int processor = CPU_SETSIZE - 1; processor >= 0; --processor) {
    if (CPU_ISSET(static_cast<unsigned>(processor), &set)) return processor;
  }
  return -1;
}
#else
int last_processor() { return -1; }
#endif

}  // namespace bench
