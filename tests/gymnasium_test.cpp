// Pendulum and CartPole against Gymnasium's Pendulum-v1 and CartPole-v1, on files of
// tests/golden/make_gymnasium.py: always on the committed samples, and on a million transitions
// each where PENDULA_GYMNASIUM_DIR names the folder with them.
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

#include "envs/list.h"

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
// while it is near the top, e^4 of a pole on a cart.
constexpr double kTrajectoryTolerance = 1e-9;

// Rows of the files, see make_gymnasium.py.
template <class Env>
struct Row {
  static constexpr int S = Env::kStateDim, A = Env::kActionDim;
  double state[S], action[A], next[S], reward, terminated, obs[Env::kObsDim];
};
template <class Env>
struct TrajectoryRow {
  static constexpr int S = Env::kStateDim, A = Env::kActionDim;
  double episode, t, state[S], action[A], reward, next[S], terminated, truncated;
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
template <class Env, class R>
void check_transitions(const std::vector<Row<Env>>& rows, double tolerance, const char* type) {
  using T = Scalar<R>;
  constexpr int kCount = lane_count<R>();
  constexpr int S = Env::kStateDim, A = Env::kActionDim, O = Env::kObsDim;
  const typename Env::template Params<T> params;
  Worst next("next state"), reward("reward"), obs("observation");
  size_t terminated = 0, at_the_bound = 0;
  for (size_t first = 0; first < rows.size(); first += kCount) {
    const size_t n = std::min<size_t>(kCount, rows.size() - first);
    T in[S + A][kCount] = {}, out[S + 2 + O][kCount];
    for (size_t i = 0; i < n; ++i) {
      for (int d = 0; d < S; ++d) in[d][i] = static_cast<T>(rows[first + i].state[d]);
      for (int d = 0; d < A; ++d) in[S + d][i] = static_cast<T>(rows[first + i].action[d]);
    }
    R state[S], action[A], after[S], seen[O];
    for (int d = 0; d < S; ++d) state[d] = load_as<R>(in[d]);
    for (int d = 0; d < A; ++d) action[d] = load_as<R>(in[S + d]);
    const StepResult<R> result = Env::step(params, state, action, after);
    Env::observe(params, after, seen);
    for (int d = 0; d < S; ++d) store(out[d], after[d]);
    store(out[S], result.reward);
    store(out[S + 1], result.terminated);
    for (int d = 0; d < O; ++d) store(out[S + 2 + d], seen[d]);
    for (size_t i = 0; i < n; ++i) {
      const Row<Env>& row = rows[first + i];
      for (int d = 0; d < S; ++d) next.add(out[d][i], row.next[d], first + i);
      reward.add(out[S][i], row.reward, first + i);
      for (int d = 0; d < O; ++d) obs.add(out[S + 2 + d][i], row.obs[d], first + i);
      terminated += row.terminated != 0.0 ? 1 : 0;
      if (static_cast<double>(out[S + 1][i]) == row.terminated) continue;
      // In float a state within rounding of the bound may fall on its other side.
      ++at_the_bound;
      ASSERT_TRUE(sizeof(T) == 4) << type << ", row " << first + i;
    }
  }
  SCOPED_TRACE(type);
  next.expect_within(tolerance);
  reward.expect_within(tolerance);
  obs.expect_within(tolerance + kFloat32Rounding);
  EXPECT_LE(at_the_bound, 8 + rows.size() / 100000);
  std::printf("  %s: errors of state %.1e, reward %.1e, observation %.1e; %zu of %zu terminate\n",
              type, next.error(), reward.error(), obs.error(), terminated, rows.size());
}

template <class Env>
void check_transitions_of_file(const std::string& path) {
  const auto rows = read_rows<Row<Env>>(path);
  std::printf("gymnasium comparison: %zu transitions of %s\n", rows.size(), Env::kId);
  check_transitions<Env, double>(rows, kDoubleTolerance, "double");
  check_transitions<Env, Lanes<double>>(rows, kDoubleTolerance, "Lanes<double>");
  check_transitions<Env, float>(rows, kFloatTolerance, "float");
  check_transitions<Env, Lanes<float>>(rows, kFloatTolerance, "Lanes<float>");
}

// Whole episodes in double, on our own states from the first on; from the file's again after every
// second (50 steps) of CartPole, whose balanced pole would fall with the rounding of its own state.
template <class Env>
void check_trajectories_of_file(const std::string& path) {
  constexpr int S = Env::kStateDim;
  const auto rows = read_rows<TrajectoryRow<Env>>(path);
  const typename Env::template Params<double> params;
  Worst next("next state"), reward("reward");
  double state[S] = {};
  size_t episodes = 0, ended = 0, truncated = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    const TrajectoryRow<Env>& row = rows[i];
    if (row.t == 0.0) ++episodes;
    const int resync = std::is_same_v<Env, CartPole> ? 50 : Env::kMaxEpisodeSteps;
    if (static_cast<int>(row.t) % resync == 0) std::copy_n(row.state, S, state);
    double after[S];
    const StepResult<double> result = Env::step(params, state, row.action, after);
    for (int d = 0; d < S; ++d) next.add(after[d], row.next[d], i);
    reward.add(result.reward, row.reward, i);
    const bool last = static_cast<int>(row.t) + 1 == Env::kMaxEpisodeSteps;
    ASSERT_EQ(result.terminated, row.terminated) << "row " << i;
    ASSERT_EQ(row.truncated, last ? 1.0 : 0.0) << "row " << i;
    ended += last || row.terminated != 0.0 ? 1 : 0;
    truncated += last ? 1 : 0;
    std::copy_n(after, S, state);
  }
  EXPECT_EQ(ended, episodes);
  EXPECT_GT(truncated, 0u);
  next.expect_within(kTrajectoryTolerance);
  reward.expect_within(kTrajectoryTolerance);
  std::printf("gymnasium comparison: %zu episodes of %s, %zu truncated\n", episodes, Env::kId,
              truncated);
  std::printf("  double: errors of state %.1e, reward %.1e\n", next.error(), reward.error());
}

template <class Env>
class GymnasiumTest : public testing::Test {};
using Environments = testing::Types<Pendulum, CartPole>;
TYPED_TEST_SUITE(GymnasiumTest, Environments);

TYPED_TEST(GymnasiumTest, SampleOfTransitions) {
  check_transitions_of_file<TypeParam>(std::string(PENDULA_GOLDEN_DIR "/") + TypeParam::kId +
                                       "_sample.bin");
}

TYPED_TEST(GymnasiumTest, SampleOfEpisodes) {
  check_trajectories_of_file<TypeParam>(std::string(PENDULA_GOLDEN_DIR "/") + TypeParam::kId +
                                        "_traj_sample.bin");
}

TYPED_TEST(GymnasiumTest, AllWhereGenerated) {
  const char* folder = std::getenv("PENDULA_GYMNASIUM_DIR");
  if (folder == nullptr || *folder == '\0') {
    std::printf("gymnasium comparison: not run (PENDULA_GYMNASIUM_DIR is not set)\n");
    return;
  }
  const std::string path = std::string(folder) + "/" + TypeParam::kId;
  check_transitions_of_file<TypeParam>(path + ".bin");
  check_trajectories_of_file<TypeParam>(path + ".traj.bin");
}

// Gymnasium's equation of motion where gravity, mass and length are not 10, 1 and 1, as they are in
// every file: torque counts by the rod's moment of inertia, m l^2 / 3.
TEST(PendulumTest, ParametersEnterAsInTheEquation) {
  Pendulum::Params<double> p;
  p.gravity = 7.0;
  p.mass = 1.7;
  p.length = 0.6;
  for (double u : {-1.5, 0.0, 2.0}) {
    const double state[2] = {2.5, -0.7}, action[1] = {u};
    double next[2];
    Pendulum::step(p, state, action, next);
    const double acceleration =
        3.0 * 7.0 / (2.0 * 0.6) * std::sin(2.5) + 3.0 / (1.7 * 0.6 * 0.6) * u;
    EXPECT_NEAR(next[1], -0.7 + acceleration * 0.05, 1e-14);
    EXPECT_NEAR(next[0], 2.5 + next[1] * 0.05, 1e-14);
  }
}

}  // namespace
}  // namespace pendula
