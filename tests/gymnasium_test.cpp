// envs/pendulum.h against Gymnasium's Pendulum-v1, on files of tests/golden/make_gymnasium.py:
// always on the committed sample, and on a million transitions where PENDULA_GYMNASIUM_DIR names
// the folder with pendulum.bin and pendulum.traj.bin.
//
// Errors are relative to max(1, |expected|).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <type_traits>
#include <vector>

#include "envs/pendulum.h"

#ifndef PENDULA_GOLDEN_DIR
#define PENDULA_GOLDEN_DIR "tests/golden"
#endif

namespace pendula {
namespace {

// In double the two differ by the rounding of sin and of the order of operations.
constexpr double kDoubleTolerance = 1e-12;
// Gymnasium rounds the observation to float32.
constexpr double kFloat32Rounding = 1.0 / 16777216.0;
// In float the state itself is rounded first: 1e-6 at |theta| = 20, which the reward multiplies by
// 2 |angle| <= 6.3 where it is about -10.
constexpr double kFloatTolerance = 1e-5;
// Over an episode each rounding error grows with the pendulum's own sensitivity: e^3.9 per second
// while it is near the top.
constexpr double kTrajectoryTolerance = 1e-9;

struct Row {  // a transition
  double theta, theta_dot, action, next_theta, next_theta_dot, reward, obs[3];
};
struct TrajectoryRow {
  double episode, t, theta, theta_dot, action, reward, next_theta, next_theta_dot, terminated,
      truncated;
};

template <class T>
std::vector<T> read_rows(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) {
    ADD_FAILURE() << "cannot open " << path;
    return {};
  }
  const auto bytes = static_cast<size_t>(file.tellg());
  if (bytes == 0 || bytes % sizeof(T) != 0) {
    ADD_FAILURE() << path << " has " << bytes << " bytes, not whole rows of " << sizeof(T);
    return {};
  }
  std::vector<T> rows(bytes / sizeof(T));
  file.seekg(0);
  file.read(reinterpret_cast<char*>(rows.data()), static_cast<std::streamsize>(bytes));
  if (!file) ADD_FAILURE() << "cannot read " << path;
  return rows;
}

// The largest error of one quantity. NaN is larger than everything.
class Worst {
 public:
  explicit Worst(const char* name) : name_(name) {}

  void add(double got, double want, size_t row) {
    const double error = std::fabs(got - want) / std::fmax(1.0, std::fabs(want));
    if (!(error <= error_)) {
      if (std::isnan(error_)) return;
      error_ = error;
      row_ = row;
    }
  }
  void expect_within(double tolerance) const {
    EXPECT_TRUE(error_ <= tolerance)
        << name_ << " is off by " << error_ << " in row " << row_ << ", allowed " << tolerance;
  }
  double error() const { return error_; }

 private:
  const char* name_;
  double error_ = 0.0;
  size_t row_ = 0;
};

template <class R>
constexpr int lane_count() {
  if constexpr (std::is_same_v<R, Scalar<R>>) {
    return 1;
  } else {
    return R::kCount;
  }
}

// step and observe over R on every row.
template <class R>
void check_transitions(const std::vector<Row>& rows, double tolerance, const char* type) {
  using T = Scalar<R>;
  constexpr int kCount = lane_count<R>();
  const Pendulum::Params<T> params;
  Worst theta("next theta"), theta_dot("next theta_dot"), reward("reward"), obs("observation");
  for (size_t first = 0; first < rows.size(); first += kCount) {
    const size_t n = std::min<size_t>(kCount, rows.size() - first);
    T in[3][kCount] = {}, out[6][kCount];
    for (size_t i = 0; i < n; ++i) {
      in[0][i] = static_cast<T>(rows[first + i].theta);
      in[1][i] = static_cast<T>(rows[first + i].theta_dot);
      in[2][i] = static_cast<T>(rows[first + i].action);
    }
    const R state[2] = {load_as<R>(in[0]), load_as<R>(in[1])};
    const R action[1] = {load_as<R>(in[2])};
    R next[2], seen[3];
    const StepResult<R> result = Pendulum::step(params, state, action, next);
    Pendulum::observe(params, next, seen);
    store(out[0], next[0]);
    store(out[1], next[1]);
    store(out[2], result.reward);
    for (int k = 0; k < 3; ++k) store(out[3 + k], seen[k]);
    T ended[kCount];
    store(ended, result.terminated);
    for (size_t i = 0; i < n; ++i) {
      const Row& row = rows[first + i];
      theta.add(out[0][i], row.next_theta, first + i);
      theta_dot.add(out[1][i], row.next_theta_dot, first + i);
      reward.add(out[2][i], row.reward, first + i);
      for (int k = 0; k < 3; ++k) obs.add(out[3 + k][i], row.obs[k], first + i);
      ASSERT_EQ(ended[i], T(0)) << "row " << first + i;
    }
  }
  SCOPED_TRACE(type);
  theta.expect_within(tolerance);
  theta_dot.expect_within(tolerance);
  reward.expect_within(tolerance);
  obs.expect_within(tolerance + kFloat32Rounding);
  std::printf("  %s: errors of theta %.1e, theta_dot %.1e, reward %.1e, observation %.1e\n", type,
              theta.error(), theta_dot.error(), reward.error(), obs.error());
}

void check_transitions_of_file(const std::string& path) {
  const std::vector<Row> rows = read_rows<Row>(path);
  std::printf("gymnasium comparison: %zu transitions\n", rows.size());
  check_transitions<double>(rows, kDoubleTolerance, "double");
  check_transitions<Lanes<double>>(rows, kDoubleTolerance, "Lanes<double>");
  check_transitions<float>(rows, kFloatTolerance, "float");
  check_transitions<Lanes<float>>(rows, kFloatTolerance, "Lanes<float>");
}

// Whole episodes in double from their first state, on our own states from then on.
void check_trajectories_of_file(const std::string& path) {
  const std::vector<TrajectoryRow> rows = read_rows<TrajectoryRow>(path);
  const Pendulum::Params<double> params;
  Worst theta("next theta"), theta_dot("next theta_dot"), reward("reward");
  double state[2] = {};
  size_t episodes = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    const TrajectoryRow& row = rows[i];
    if (row.t == 0.0) {
      ++episodes;
      state[0] = row.theta;
      state[1] = row.theta_dot;
    }
    double next[2];
    const StepResult<double> result = Pendulum::step(params, state, &row.action, next);
    theta.add(next[0], row.next_theta, i);
    theta_dot.add(next[1], row.next_theta_dot, i);
    reward.add(result.reward, row.reward, i);
    const bool last = static_cast<int>(row.t) + 1 == Pendulum::kMaxEpisodeSteps;
    ASSERT_EQ(result.terminated, row.terminated) << "row " << i;
    ASSERT_EQ(row.truncated, last ? 1.0 : 0.0) << "row " << i;
    state[0] = next[0];
    state[1] = next[1];
  }
  ASSERT_EQ(rows.size(), episodes * Pendulum::kMaxEpisodeSteps);
  theta.expect_within(kTrajectoryTolerance);
  theta_dot.expect_within(kTrajectoryTolerance);
  reward.expect_within(kTrajectoryTolerance);
  std::printf("gymnasium comparison: %zu episodes\n", episodes);
  std::printf("  double: errors of theta %.1e, theta_dot %.1e, reward %.1e\n", theta.error(),
              theta_dot.error(), reward.error());
}

TEST(GymnasiumTest, SampleOfTransitions) {
  check_transitions_of_file(PENDULA_GOLDEN_DIR "/pendulum_sample.bin");
}

TEST(GymnasiumTest, SampleOfEpisodes) {
  check_trajectories_of_file(PENDULA_GOLDEN_DIR "/pendulum_traj_sample.bin");
}

TEST(GymnasiumTest, AllWhereGenerated) {
  const char* folder = std::getenv("PENDULA_GYMNASIUM_DIR");
  if (folder == nullptr || *folder == '\0') {
    std::printf("gymnasium comparison: not run (PENDULA_GYMNASIUM_DIR is not set)\n");
    return;
  }
  check_transitions_of_file(std::string(folder) + "/pendulum.bin");
  check_trajectories_of_file(std::string(folder) + "/pendulum.traj.bin");
}

}  // namespace
}  // namespace pendula
