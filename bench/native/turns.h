// Calls timed in turns, round by round, so that what the machine does meanwhile falls on all of
// them alike.
#pragma once

#include <functional>
#include <vector>

namespace bench {

struct Call {
  std::function<void()> run;
  unsigned threads;
};

// Of one call, what it took in each round: the least of a turn's samples, in microseconds.
using Times = std::vector<double>;

// Times groups of calls that are to be compared. In every round the groups come in an order that is
// drawn anew, and so do the calls within a group, one right after the other. There are rounds until
// `seconds` are over, but at least 7 and at most 51. Calls of one thread run on `processor`.
std::vector<std::vector<Times>> time_rounds(const std::vector<std::vector<Call>>& groups,
                                            double seconds, int processor);

double median(Times values);

// The last processor that this process may run on; -1 where the system does not tell.
int last_processor();

}  // namespace bench
