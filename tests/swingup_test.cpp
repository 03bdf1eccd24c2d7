// CartPole swing-up: its energy, where nothing drives it, and where its track ends.
#include <gtest/gtest.h>

#include <cmath>

#include "envs/cartpole_swingup.h"

namespace pendula {
namespace {

using Params = CartPoleSwingup::Params<double>;

// Kinetic and potential energy of the cart and of a uniform rod of length 2 l (J), its joint on the
// cart: 1/2 M x_dot^2 + m l x_dot theta_dot cos theta + 1/2 (4/3 m l^2) theta_dot^2 + m g l cos
// theta.
double energy(const Params& p, const double* s) {
  const double m = p.pole_mass, l = p.pole_half_length;
  return 0.5 * (p.cart_mass + m) * s[1] * s[1] + m * l * s[1] * s[3] * std::cos(s[2]) +
         2.0 / 3.0 * m * l * l * s[3] * s[3] + m * p.gravity * l * std::cos(s[2]);
}

// The largest change of the energy over 10 s without force, relative to m g l.
double drift(double dt, double theta, double theta_dot) {
  Params p;
  p.dt = dt;
  double state[4] = {0.0, 0.3, theta, theta_dot};
  const double first = energy(p, state);
  double worst = 0.0;
  for (int i = 0; i < static_cast<int>(10.0 / dt); ++i) {
    const double action[1] = {0.0};
    double next[4];
    CartPoleSwingup::step(p, state, action, next);
    std::copy_n(next, 4, state);
    worst = std::fmax(worst, std::fabs(energy(p, state) - first));
  }
  return worst / (p.pole_mass * p.gravity * p.pole_half_length);
}

TEST(SwingupTest, EnergyIsConservedWithinTheIntegratorsError) {
  // Small and large swings, and whole turns. The integrator is of first order: half the step, half
  // the error. A wrong term in the equations of motion would not become smaller with the step.
  const double starts[][2] = {{3.0, 0.0}, {2.0, 0.0}, {0.3, 0.0}, {3.1, 12.0}};
  for (const auto& [theta, theta_dot] : starts) {
    const double step = drift(0.002, theta, theta_dot), half = drift(0.001, theta, theta_dot);
    const double fine = drift(0.00005, theta, theta_dot);
    SCOPED_TRACE(testing::Message()
                 << theta << ", " << theta_dot << ": " << step << ", " << half << ", " << fine);
    EXPECT_NEAR(half / step, 0.5, 0.03);
    EXPECT_NEAR(fine / half, 0.05, 0.006);
    EXPECT_TRUE(fine < 1e-3);
  }
  // At the default step a swing's energy moves by a few percent and does not run away.
  EXPECT_TRUE(drift(0.02, 2.0, 0.0) < 0.1);
}

TEST(SwingupTest, HangsAtRestWithoutForce) {
  const Params p;
  const double state[4] = {0.5, 0.0, M_PI, 0.0}, action[1] = {0.0};
  double next[4];
  const auto r = CartPoleSwingup::step(p, state, action, next);
  for (int d = 0; d < 4; ++d) EXPECT_NEAR(next[d], state[d], 1e-15);
  EXPECT_NEAR(r.reward, 0.5, 1e-15);
  EXPECT_EQ(r.terminated, 0.0);
  const double upright[4] = {0.0, 0.0, 2.0 * M_PI, 0.0};
  EXPECT_NEAR(CartPoleSwingup::step(p, upright, action, next).reward, 1.0, 1e-15);
}

TEST(SwingupTest, TerminatesBeyondTheTrackAndNowhereElse) {
  const Params p;
  const double action[1] = {0.0};
  for (double sign : {-1.0, 1.0}) {
    for (double theta : {0.0, M_PI, 100.0 * M_PI}) {
      double next[4];
      // At rest, hanging or upright, the cart stays where it is.
      const double on[4] = {sign * 2.4, 0.0, 0.0, 0.0};
      EXPECT_EQ(CartPoleSwingup::step(p, on, action, next).terminated, 0.0);
      const double off[4] = {sign * std::nextafter(2.4, 3.0), 0.0, 0.0, 0.0};
      EXPECT_EQ(CartPoleSwingup::step(p, off, action, next).terminated, 1.0);
      const double inside[4] = {sign * 2.3, 0.0, theta, 5.0};
      EXPECT_EQ(CartPoleSwingup::step(p, inside, action, next).terminated, 0.0);
    }
  }
}

}  // namespace
}  // namespace pendula
