// SIGINT and SIGTERM, in child processes: the first asks, the second ends.
#include "host/signals.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <stdexcept>

namespace pendula {
namespace {

// What waitpid() says of a child that runs `body`, which returns its exit status.
int status_of(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = -1;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return status;
}

int exit_status(const std::function<int()>& body) {
  const int status = status_of(body);
  EXPECT_TRUE(WIFEXITED(status)) << "ended by signal " << WTERMSIG(status);
  return WEXITSTATUS(status);
}

TEST(StopSignals, FirstSetsTheFlagAndIsRemembered) {
  for (int number : {SIGINT, SIGTERM}) {
    const int status = exit_status([&] {
      StopSignals signals;
      if (signals.flag().load() || signals.exit_code() != ExitCode::kDone) return 1;
      ::raise(number);
      return signals.flag().load() ? static_cast<int>(signals.exit_code()) : 2;
    });
    EXPECT_EQ(status, number == SIGINT ? 130 : 143);
  }
}

TEST(StopSignals, SecondLeavesAtOnce) {
  for (int first : {SIGINT, SIGTERM}) {
    for (int second : {SIGINT, SIGTERM}) {
      const int status = exit_status([&] {
        StopSignals signals;
        ::raise(first);
        ::raise(second);
        return 1;
      });
      EXPECT_EQ(status, 128 + second);
    }
  }
}

TEST(StopSignals, SecondReachesAProcessThatIsStuck) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    StopSignals signals;
    if (::write(ready[1], "a", 1) != 1) ::_exit(1);
    while (!signals.flag().load()) ::usleep(1000);
    if (::write(ready[1], "b", 1) != 1) ::_exit(1);
    ::alarm(10);  // a test that fails is better than one that hangs
    for (;;) ::pause();
  }
  char byte;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  ::kill(child, SIGTERM);
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);  // the first alone does not end it
  ::kill(child, SIGINT);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 130);
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST(StopSignals, DestructorRestoresAndTheNextStartsClear) {
  const int status = status_of([] {
    {
      StopSignals signals;
      ::raise(SIGTERM);
    }
    {
      StopSignals signals;
      if (signals.flag().load() || signals.exit_code() != ExitCode::kDone) return 1;
    }
    ::raise(SIGTERM);  // the system's own handling again
    return 2;
  });
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

TEST(StopSignals, AFileBeyondTheLimitIsNotDeadly) {
  EXPECT_EQ(exit_status([] {
              StopSignals signals;
              ::raise(SIGXFSZ);
              return 0;
            }),
            0);
}

TEST(StopSignals, OneAtATime) {
  StopSignals signals;
  EXPECT_THROW(StopSignals(), std::logic_error);
}

}  // namespace
}  // namespace pendula
