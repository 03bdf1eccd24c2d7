#include "host/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <iterator>
#include <string_view>
#include <utility>
#include <vector>

namespace pendula {
namespace {

constexpr double kRateWindow = 5.0;      // s
constexpr double kSampleInterval = 0.1;  // s, so that the window holds few samples
constexpr size_t kNoLimit = ~size_t{0};

constexpr std::string_view kBold = "\x1b[1m";
constexpr std::string_view kGreen = "\x1b[32m";
constexpr std::string_view kRed = "\x1b[31m";
constexpr std::string_view kReset = "\x1b[0m";

// 12345678 -> "12,345,678"
std::string grouped(uint64_t value) {
  std::string digits = std::to_string(value);
  for (int64_t at = static_cast<int64_t>(digits.size()) - 3; at > 0; at -= 3) {
    digits.insert(static_cast<size_t>(at), ",");
  }
  return digits;
}

// 1234567 -> "1.23M"
std::string short_number(double value) {
  for (const auto& [unit, suffix] :
       {std::pair(1e9, "G"), std::pair(1e6, "M"), std::pair(1e3, "k")}) {
    if (value >= unit) return fmt::format("{:.3g}{}", value / unit, suffix);
  }
  return fmt::format("{:.0f}", value);
}

// 3725 s -> "1:02:05"
std::string duration(double seconds) {
  if (!(seconds < 1e9)) return "?";
  const auto s = static_cast<int64_t>(std::ceil(seconds));
  if (s >= 3600) return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
  return fmt::format("{}:{:02}", s / 60, s % 60);
}

struct Piece {
  std::string text;
  int rank;  // the highest goes first where the line is too long
  std::string_view colour;
};

}  // namespace

ProgressOptions stderr_progress(bool quiet) {
  const auto set = [](const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr && *value != '\0';
  };
  const char* term = std::getenv("TERM");
  const bool dumb = term != nullptr && std::string_view(term) == "dumb";
  ProgressOptions options;
  const bool tty = ::isatty(STDERR_FILENO) == 1;
  using Mode = ProgressOptions::Mode;
  options.mode = quiet ? Mode::kQuiet : tty ? Mode::kTerminal : Mode::kPlain;
  options.colour = tty && !dumb && !set("NO_COLOR");
  options.width = [] {
    winsize size{};
    return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
  };
  options.clock = [] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  };
  return options;
}

Progress::Progress(std::ostream& out, ProgressOptions options)
    : out_(out), options_(std::move(options)) {}

void Progress::update(const ProgressState& state) {
  if (options_.mode == ProgressOptions::Mode::kQuiet) return;
  const double now = options_.clock();
  sample(state, now);
  if (due(now)) draw(state, now);
}

void Progress::evaluated(const ProgressState& state) {
  if (options_.mode == ProgressOptions::Mode::kQuiet) return;
  const double now = options_.clock();
  sample(state, now);
  if (options_.mode == ProgressOptions::Mode::kPlain || due(now)) draw(state, now);
}

void Progress::finish(const ProgressState& state) {
  if (options_.mode == ProgressOptions::Mode::kQuiet) return;
  const double now = options_.clock();
  sample(state, now);
  draw(state, now);
  if (options_.mode == ProgressOptions::Mode::kTerminal) out_ << '\n' << std::flush;
  drawn_columns_ = 0;
}

void Progress::clear() {
  if (drawn_columns_ == 0) return;
  out_ << '\r' << std::string(drawn_columns_, ' ') << '\r' << std::flush;
  drawn_columns_ = 0;
}

bool Progress::due(double now) const {
  const bool terminal = options_.mode == ProgressOptions::Mode::kTerminal;
  return !last_drawn_ || now - *last_drawn_ >= (terminal ? kTerminalInterval : kPlainInterval);
}

void Progress::sample(const ProgressState& state, double now) {
  if (!samples_.empty() && now - samples_.back().time < kSampleInterval) return;
  samples_.push_back({now, state.timesteps, state.updates});
  // The oldest sample stays at least a window old, or rates would rest on a few moments.
  while (samples_.size() > 2 && now - samples_[1].time >= kRateWindow) samples_.pop_front();
}

void Progress::draw(const ProgressState& state, double now) {
  last_drawn_ = now;
  size_t columns = 0;
  if (options_.mode == ProgressOptions::Mode::kPlain) {
    out_ << line(state, kNoLimit, false, &columns) << '\n' << std::flush;
    return;
  }
  // The last column stays free: writing there makes some terminals go to the next line.
  const size_t width = static_cast<size_t>(std::max(options_.width(), 2)) - 1;
  const std::string text = line(state, width, options_.colour, &columns);
  // Spaces over the rest of the old line; no more than fit, should the window have become narrower.
  const size_t old = std::min(drawn_columns_, width);
  out_ << '\r' << text << std::string(old > columns ? old - columns : 0, ' ') << std::flush;
  drawn_columns_ = columns;
}

std::string Progress::line(const ProgressState& state, size_t width, bool colour,
                           size_t* columns) const {
  const Sample& first = samples_.front();
  const double seconds = options_.clock() - first.time;
  const auto rate = [&](uint64_t now, uint64_t then) {
    return seconds > 0 ? static_cast<double>(now - then) / seconds : 0.0;
  };
  const double steps_rate = rate(state.timesteps, first.timesteps);
  const uint64_t left = state.total_timesteps - std::min(state.timesteps, state.total_timesteps);
  const double percent = state.total_timesteps == 0
                             ? 100.0
                             : std::min(100.0, 100.0 * static_cast<double>(state.timesteps) /
                                                   static_cast<double>(state.total_timesteps));

  std::vector<Piece> pieces;
  // Floor: 100% is for the end alone.
  pieces.push_back({fmt::format("{:3.0f}%", std::floor(percent)), 0, kBold});
  pieces.push_back({grouped(state.timesteps) + "/" + grouped(state.total_timesteps), 3, {}});
  if (steps_rate > 0) {
    pieces.push_back({short_number(steps_rate) + " steps/s", 4, {}});
    pieces.push_back({short_number(rate(state.updates, first.updates)) + " updates/s", 6, {}});
  }
  if (state.train_return) {
    pieces.push_back({fmt::format("train {:.4g}", *state.train_return), 5, {}});
  }
  if (state.eval_return) {
    pieces.push_back({fmt::format("eval {:.4g}", *state.eval_return), 1, kGreen});
  }
  if (state.diverged > 0) {
    pieces.push_back(
        {fmt::format("{} of {} agents diverged", state.diverged, state.agents), 1, kRed});
  }
  if (steps_rate > 0 && left > 0) {
    pieces.push_back({"ETA " + duration(static_cast<double>(left) / steps_rate), 2, {}});
  }

  constexpr std::string_view kGap = "  ";
  const auto length = [&] {
    size_t n = kGap.size() * (pieces.size() - 1);
    for (const Piece& piece : pieces) n += piece.text.size();
    return n;
  };
  while (pieces.size() > 1 && length() > width) {
    pieces.erase(std::max_element(pieces.begin(), pieces.end(),
                                  [](const Piece& a, const Piece& b) { return a.rank < b.rank; }));
  }
  if (pieces[0].text.size() > width) pieces[0].text.resize(width);

  *columns = length();
  std::string text;
  for (const Piece& piece : pieces) {
    if (!text.empty()) text += kGap;
    const bool paint = colour && !piece.colour.empty();
    text += paint ? fmt::format("{}{}{}", piece.colour, piece.text, kReset) : piece.text;
  }
  return text;
}

}  // namespace pendula
