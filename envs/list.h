// The environments. One line each: the type, its header. CMake reads this file too and compiles
// the programs of each environment in a file of their own.
#pragma once

#include "envs/pendulum.h"

// PENDULA_ENV(Type, "header")
#define PENDULA_ENVIRONMENTS(PENDULA_ENV) \
  PENDULA_ENV(Pendulum)
