// A matrix operand: element (r, c) at p[r * row + c * col].
#pragma once

#include "kernels/lanes.h"

namespace PENDULA_PROGRAMS {

template <class T>
struct Matrix {
  const T* p;
  int row, col;
};

template <class T>
PENDULA_FN Matrix<T> row_major(const T* p, int ld) {
  return {p, ld, 1};
}
template <class T>
PENDULA_FN Matrix<T> transposed(const T* p, int ld) {
  return {p, 1, ld};
}

}  // namespace PENDULA_PROGRAMS
