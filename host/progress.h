// How training tells a person that it moves, on stderr: one line rewritten in place on a terminal,
// plain lines elsewhere (a file, a pipe, a batch system's log), nothing with --quiet. Not
// thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <ostream>
#include <string>

namespace pendula {

// What there is to tell. Steps and updates are one agent's.
struct ProgressState {
  uint64_t timesteps = 0;
  uint64_t total_timesteps = 0;
  uint64_t updates = 0;
  std::optional<double> train_return;  // rollout/ep_rew_mean of the last row that has one
  std::optional<double> eval_return;   // eval/mean_reward of the last evaluation
  uint64_t agents = 1;
  uint64_t diverged = 0;  // of them, and frozen
};

struct ProgressOptions {
  enum class Mode { kTerminal, kPlain, kQuiet };
  Mode mode = Mode::kPlain;
  bool colour = false;
  std::function<int()> width = [] { return 80; };  // columns, asked for each time: windows change
  std::function<double()> clock;                   // seconds, monotonic
};

// For stderr: a terminal or not, its width, colour unless NO_COLOR is set or TERM is "dumb".
ProgressOptions stderr_progress(bool quiet);

class Progress {
 public:
  // At most so often; an evaluation and the end are told in any case on plain output.
  static constexpr double kTerminalInterval = 0.1;  // s
  static constexpr double kPlainInterval = 1.0;     // s

  Progress(std::ostream& out, ProgressOptions options);

  void update(const ProgressState& state);     // call as often as you like
  void evaluated(const ProgressState& state);  // after an evaluation
  void finish(const ProgressState& state);     // draws the last state and ends the line
  // Empties the terminal's line, before something else is written to stderr.
  void clear();

 private:
  struct Sample {
    double time;
    uint64_t timesteps, updates;
  };

  void sample(const ProgressState& state, double now);
  bool due(double now) const;
  void draw(const ProgressState& state, double now);
  // The line as plain ASCII of at most `width` columns; coloured if asked, which adds no columns.
  std::string line(const ProgressState& state, size_t width, bool colour, size_t* columns) const;

  std::ostream& out_;
  ProgressOptions options_;
  std::optional<double> last_drawn_;  // time
  size_t drawn_columns_ = 0;          // what stands on the terminal's line
  std::deque<Sample> samples_;        // the last few seconds: rates are those of now, but calm
};

}  // namespace pendula
