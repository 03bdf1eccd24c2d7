// The environments: one header and one line each. CMake reads the lines too and compiles the
// programs of each environment in a file of its own.
#pragma once

#include "envs/cartpole.h"
#include "envs/cartpole_swingup.h"
#include "envs/pendulum.h"

// clang-format off
#define PENDULA_ENVIRONMENTS(PENDULA_ENV) \
  PENDULA_ENV(Pendulum) \
  PENDULA_ENV(CartPole) \
  PENDULA_ENV(CartPoleSwingup)
// clang-format on
