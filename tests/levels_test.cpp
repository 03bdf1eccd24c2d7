// What the objects of each level of instructions define. A function that they share with the rest
// of the binary (a std:: template, an inline function of another namespace) would be a weak symbol
// in both, of which the linker keeps one: that with AVX-512 in it, perhaps, for a processor that
// has none. And what runs before main() would run on every processor.
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "envs/list.h"
#include "host/simd.h"

namespace pendula {
namespace {

using Lines = std::vector<std::string>;

// The lines of `nm --demangle --defined-only`: 16 digits, the type's letter, the name.
Lines symbols_of(const std::string& object) {
  Lines lines;
  const std::string command =
      std::string(PENDULA_NM) + " --demangle --defined-only '" + object + "'";
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return lines;
  std::string line;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) {
    if (c != '\n') {
      line += static_cast<char>(c);
      continue;
    }
    lines.push_back(line);
    line.clear();
  }
  EXPECT_EQ(pclose(pipe), 0) << command;
  return lines;
}

bool begins(const std::string& text, const std::string& with) { return text.rfind(with, 0) == 0; }

// Why this symbol must not be in an object of the level, or "".
std::string objection(const std::string& line, const std::string& level) {
  if (line.size() < 20) return "it is no line of nm";
  const std::string name = line.substr(19);
  if (begins(name, "_GLOBAL__")) return "it runs before main()";
  const bool shared = std::string("WwVvu").find(line[17]) != std::string::npos;
  if (!shared || name.find("pendula::" + level + "::") != std::string::npos) return "";
  // Data that every object has alike: where the handler of exceptions is, an environment's table.
  if (begins(name, "DW.ref.")) return "";
#define PENDULA_TABLE(Env) \
  if (name == "pendula::" #Env "::kParams") return "";
  PENDULA_ENVIRONMENTS(PENDULA_TABLE)
#undef PENDULA_TABLE
  return "the linker may share it with code for other processors";
}

TEST(LevelsTest, ObjectionsAreToWhatMayBeShared) {
  const std::string at = "0000000000000000 ";
  EXPECT_EQ(objection(at + "W void pendula::avx2::f<float>(int)", "avx2"), "");
  EXPECT_EQ(objection(at + "W std::g<pendula::avx2::Lanes<float> >(int)", "avx2"), "");
  EXPECT_EQ(objection(at + "t pendula::f(int)", "avx2"), "");
  EXPECT_EQ(objection(at + "R pendula::cpu_Pendulum_avx2", "avx2"), "");
  EXPECT_NE(objection(at + "W void pendula::avx2::f<float>(int)", "avx512"), "");
  EXPECT_NE(objection(at + "W std::vector<int>::push_back(int)", "avx2"), "");
  EXPECT_NE(objection(at + "V vtable for pendula::CpuPrograms", "avx2"), "");
  EXPECT_NE(objection(at + "u pendula::f()::once", "avx2"), "");
  EXPECT_NE(objection(at + "t _GLOBAL__sub_I_cpu_Pendulum_avx2", "avx2"), "");
  EXPECT_NE(objection("nm: no such file", "avx2"), "");
}

TEST(LevelsTest, ObjectsDefineNothingThatOthersCouldGet) {
  std::map<std::string, Lines> objects;
  std::ifstream list(PENDULA_LEVEL_OBJECTS);
  std::string level, path;
  while (list >> level && std::getline(list, path)) objects[level].push_back(path.substr(1));
  std::set<std::string> levels;
  for (const auto& [name, paths] : objects) levels.insert(name);
  EXPECT_EQ(levels, std::set<std::string>(simd_levels().begin(), simd_levels().end()));

  for (const auto& [name, paths] : objects) {
    size_t own = 0;
    std::set<std::string> tables;
    for (const std::string& object : paths) {
      for (const std::string& line : symbols_of(object)) {
        const std::string why = objection(line, name);
        EXPECT_EQ(why, "") << object << ": " << line;
        own += line.find("pendula::" + name + "::") != std::string::npos ? 1 : 0;
        if (line.find(" pendula::cpu_") != std::string::npos) tables.insert(line.substr(19));
      }
    }
    EXPECT_GT(own, 20u) << "functions of " << name;
#define PENDULA_EXPECT_TABLE(Env) \
  EXPECT_EQ(tables.count("pendula::cpu_" #Env "_" + name), 1u) << name;
    PENDULA_ENVIRONMENTS(PENDULA_EXPECT_TABLE)
#undef PENDULA_EXPECT_TABLE
  }
}

}  // namespace
}  // namespace pendula
