// What every program of an iteration is given. A program is a function over a block: a struct with
//
//   int grid() const                                   blocks that it runs on
//   template <class B> void operator()(B& b) const     the work of block b.index()
//
// A program ends with everything written; the next one starts after all blocks of it are done.
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

  PENDULA_FN AgentView<T> agent(int k) const { return AgentView<T>(arena, plan, k); }
  PENDULA_FN Control& control() const { return *reinterpret_cast<Control*>(arena + plan.control); }
  PENDULA_FN ReportRow* report_ring() const { return reinterpret_cast<ReportRow*>(page + 1); }
};

// Where a program with several blocks per agent stands.
struct Place {
  int agent;
  int part;
};
PENDULA_FN Place place(int block, int parts) { return {block / parts, block % parts}; }

}  // namespace PENDULA_PROGRAMS
