// Operands of tensor-core products (mma.sync, PTX ISA "Matrix fragments for mma.m16n8k8 with .tf32"
// and "m16n8k16 with .bf16"), as words of 32 bits: one number in tf32, two neighbours in bf16. In
// words both products look alike, c (16 x 8) += a (16 x 8 words) b (8 words x 8): with lane = 4 g +
// q a thread gives the words q and q + 4 of rows g and g + 8 of a, and of column g of b, and holds
// columns 2 q and 2 q + 1 of rows g and g + 8 of c.
//
// A product's sums are the next one's operand. A sum may be taken in any order, so its terms are
// put where they fall: columns 8 t + 2 q and the next of a layer's units are the words that
// place() says, in activations and in weights alike.
//
//   Tf32   10 bits, rounded to nearest, ties away from 0
//   Bf16    7 bits, rounded to nearest, ties to even
#pragma once

#include "kernels/gemm_cuda.h"

namespace PENDULA_PROGRAMS {

struct Tf32 {
  static constexpr int kPerWord = 1;  // numbers
  static constexpr int kPerStep = 8;  // numbers of the sum in one product

  static PENDULA_FN void mma(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    mma_tf32(c, a, b0, b1);
  }
  // Words of two numbers that are next to each other in the sum: `words` of them.
  struct Words {
    uint32_t at[2];
  };
  static constexpr int kWords = 2;
  static PENDULA_FN Words pack(float x, float y) { return {{to_tf32(x), to_tf32(y)}}; }
  // One word: of kPerWord numbers, those after the first are y.
  static PENDULA_FN uint32_t word(float x, float) { return to_tf32(x); }
  static PENDULA_FN float number(uint32_t w, int) { return from_bits(w); }
  static PENDULA_FN float first(const Words& w) { return from_bits(w.at[0]); }
  static PENDULA_FN float second(const Words& w) { return from_bits(w.at[1]); }
  static PENDULA_FN float from_bits([[maybe_unused]] uint32_t x) {
#if PENDULA_DEVICE
    return __uint_as_float(x);
#else
    return 0.0f;
#endif
  }

  // Word `i` of those of the columns 8 t + 2 q and the next, in a row of words.
  static PENDULA_FN int place(int t, int q, int i) { return 8 * t + q + 4 * i; }
  // Where unit u is: its word, and its number in that word.
  static PENDULA_FN int word_of(int u) { return u / 8 * 8 + (u & 7) / 2 + 4 * (u & 1); }
  static PENDULA_FN int part_of(int) { return 0; }
  static PENDULA_FN int unit_of(int word, int) {
    return word / 8 * 8 + 2 * (word & 3) + (word >> 2 & 1);
  }
};

struct Bf16 {
  static constexpr int kPerWord = 2;
  static constexpr int kPerStep = 16;

  static PENDULA_FN void mma([[maybe_unused]] float (&c)[4],
                             [[maybe_unused]] const uint32_t (&a)[4], [[maybe_unused]] uint32_t b0,
                             [[maybe_unused]] uint32_t b1) {
#if PENDULA_DEVICE
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
        "{%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#endif
  }
  struct Words {
    uint32_t at[1];
  };
  static constexpr int kWords = 1;
  static PENDULA_FN Words pack([[maybe_unused]] float x, [[maybe_unused]] float y) {
    uint32_t w = 0;
#if PENDULA_DEVICE
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(w) : "f"(y), "f"(x));
#endif
    return {{w}};
  }
  static PENDULA_FN uint32_t word(float x, float y) { return pack(x, y).at[0]; }
  static PENDULA_FN float number(uint32_t w, int part) {
    return Tf32::from_bits(part == 0 ? w << 16 : w & 0xffff0000u);
  }
  static PENDULA_FN float first(const Words& w) { return Tf32::from_bits(w.at[0] << 16); }
  static PENDULA_FN float second(const Words& w) { return Tf32::from_bits(w.at[0] & 0xffff0000u); }

  static PENDULA_FN int place(int t, int q, int) { return 4 * t + q; }
  static PENDULA_FN int word_of(int u) { return u / 2; }
  static PENDULA_FN int part_of(int u) { return u & 1; }
  static PENDULA_FN int unit_of(int word, int part) { return 2 * word + part; }
};

// The words of columns 8 t + 2 q and the next in a row of activations.
template <class P>
PENDULA_FN void store_pair(uint32_t* row, int t, int q, float x, float y) {
  const typename P::Words w = P::pack(x, y);
  PENDULA_UNROLL
  for (int i = 0; i < P::kWords; ++i) row[P::place(t, q, i)] = w.at[i];
}
template <class P>
PENDULA_FN typename P::Words load_words(const uint32_t* row, int t, int q) {
  typename P::Words w;
  PENDULA_UNROLL
  for (int i = 0; i < P::kWords; ++i) w.at[i] = row[P::place(t, q, i)];
  return w;
}

// Address of shared memory as ldmatrix takes it.
PENDULA_FN uint32_t shared_address([[maybe_unused]] const void* p) {
#if PENDULA_DEVICE
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
#else
  return 0;
#endif
}

// The operand a: 16 rows, 8 words, from rows of words in shared memory, `pitch` words apart. p: of
// the first row and word. No two rows may lie in the same banks: pitch is 4 more than a multiple of
// 8.
PENDULA_FN void load_a([[maybe_unused]] const uint32_t* p, [[maybe_unused]] int pitch,
                       uint32_t (&a)[4]) {
#if PENDULA_DEVICE
  const int lane = thread_index() % 32;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(a[0]), "=r"(a[1]), "=r"(a[2]), "=r"(a[3])
               : "r"(shared_address(p + (lane & 15) * pitch + (lane >> 4) * 4))
               : "memory");
#else
  for (uint32_t& x : a) x = 0;
#endif
}

// The same of a product over rows: 8 units `from`, `from` + 1, ..., of a row of words; the words of
// unit g, each kPerWord rows: rows kPerStep in all, from p's row on.
//
//   Tf32: word q is row 2 q, word q + 4 row 2 q + 1.   Bf16: word q is rows 2 q and 2 q + 1.
template <class P>
PENDULA_FN void load_over_rows([[maybe_unused]] const uint32_t* p, [[maybe_unused]] int pitch,
                               [[maybe_unused]] int from, uint32_t (&w)[2]) {
  w[0] = w[1] = 0;
#if PENDULA_DEVICE
  const int lane = thread_index() % 32;
  if constexpr (P::kPerWord == 1) {
    const uint32_t* at = p + 2 * (lane & 3) * pitch + P::word_of(from + (lane >> 2));
    w[0] = at[0];
    w[1] = at[pitch];
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];"
                 : "=r"(w[0]), "=r"(w[1])
                 : "r"(shared_address(p + (lane & 15) * pitch + P::word_of(from)))
                 : "memory");
  }
#endif
}

}  // namespace PENDULA_PROGRAMS
