// What every program of an iteration is given. A program is a function over a block: a struct with
//
//   int parts() const                                  blocks that work on one agent
//   int grid() const                                   blocks in all: agents x parts
//   template <class B> void operator()(B& b) const     the work of block b.index()
//
// A program that is launched holds its Context; one that runs inside a kernel or a worker's loop
// holds a reference to it (Held). A program ends with everything written; the next one starts after
// all blocks of it are done.
#pragma once

#include "kernels/plan.h"

namespace PENDULA_PROGRAMS {

template <class Env, class T>
struct Context {
  using EnvParams = typename Env::template Params<T>;

  Plan plan;
  EnvParams env;
  char* arena;
  HostPage* page;

  PENDULA_FN AgentView<T> agent(int k, Resident resident = {}) const {
    return AgentView<T>(arena, plan, k, resident);
  }
  PENDULA_FN Control& control() const { return *reinterpret_cast<Control*>(arena + plan.control); }
  PENDULA_FN ReportRow* report_ring() const { return reinterpret_cast<ReportRow*>(page + 1); }
};

// The Env of programs that take nothing of an environment but what the plan says.
struct AnyEnvironment {
  template <class T>
  struct Params {};
};

// Where a program with several blocks per agent stands.
struct Place {
  int agent;
  int part;
};
PENDULA_FN Place place(int block, int parts) { return {block / parts, block % parts}; }

}  // namespace PENDULA_PROGRAMS
