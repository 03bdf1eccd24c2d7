"""What a newcomer gets wrong, one mistake at a time: the table of scripts/mutate.

Per file: the tests that are tried first (a binary of tests/, a GoogleTest filter), then the mutants: name,
text of the file, what stands there instead, and other tests to try first where those do not notice.

The text occurs once in the file; where a part of it stands between two @ only that part is replaced. A part
that ends with `;` is a statement, and may be replaced by nothing; everything else is an expression,
replaced by one of the same type.

Texts of one file are the same or do not overlap.
"""

# Without the differences, which take longer than all others.
UPDATE = ("programs", "UpdateTest/*:ReplayTest/*-*GradientsAreThoseOfTheLosses")
MLP = ("kernels", "MlpTest/*")
ADAM = ("programs", "AdamTest/*")
ENVIRONMENT = ("environments", "*.RecordsOfIndependentEnvironments")
STEP = ("environments", "*.StepsOfTheModelBeyondTheBoundsOfActions")
ROLLOUT = ("programs", "RolloutTest/*")
SCHEDULE = ("programs", "ScheduleTest/*")
LAG = ("programs", "LagTest/*")
GYMNASIUM = ("gymnasium", "*")

TD_TARGET = "V(scale) * load_as<V>(reward + n) + bootstrap"
BOOTSTRAP = "V(gamma) * load_as<V>(continues + n) * q"
DENOMINATOR = "fma(sqrt(v), V(scale_v), V(eps))"
SOFT_UPDATE = "fma(V(tau), next - target, target)"
DONE = "(r.terminated > V(T(0))) | (step >= V(limit))"
SAMPLED_ROW = "rows.oldest + below(row_word, rows.count)"
CARTPOLE_ENDS = "(abs(next[0]) > R(p.x_limit)) | (abs(next[2]) > R(p.theta_limit))"

TABLE = {
    "kernels/td_target.h": (UPDATE, [
        ("td-bootstrap-sign", TD_TARGET, "V(scale) * load_as<V>(reward + n) - bootstrap"),
        ("td-reward-scale-dropped", TD_TARGET, "load_as<V>(reward + n) + bootstrap"),
        ("td-reward-scale-on-all", TD_TARGET, "V(scale) * (load_as<V>(reward + n) + bootstrap)"),
        ("td-gamma-dropped", BOOTSTRAP, "load_as<V>(continues + n) * q"),
        ("td-terminated-ignored", BOOTSTRAP, "V(gamma) * q"),
        ("td-actor-for-its-target", "p.actor_target", "p.actor_params"),
        ("td-critic-for-its-target", "p.critic_target", "p.critic_params"),
        ("td-tanh-dropped", "tanh(v)", "v"),
        ("td-obs-for-next-obs", "forward_hidden(b, p.critic, rows, critic, @batch.next_x@,",
         "batch.x"),
    ]),
    "kernels/critic_update.h": (UPDATE, [
        ("critic-delta-sign", "q[n] - y[n]", "y[n] - q[n]"),
        ("critic-factor-2-dropped", "kind == Loss::kHuber ? d : d + d", "d"),
        ("critic-huber-half-dropped", "kind == Loss::kHuber ? T(0.5) * d * d : d * d", "d * d"),
        ("critic-huber-never-linear", "kind == Loss::kHuber && !(abs(d) <= T(1))", "false"),
        ("critic-sum-for-mean", "T(1) / static_cast<T>(batch_size)", "T(1)"),
        ("critic-mean-of-a-tile", "T(1) / static_cast<T>(batch_size)", "T(1) / static_cast<T>(kRows)"),
        ("critic-padding-counts", "n < live", "true"),
        ("critic-last-tile-alone", "first == part * tile", "true"),
        ("critic-gradient-of-target", "agent.at(p.critic_params)", "agent.at(p.critic_target)"),
    ]),
    "kernels/actor_update.h": (UPDATE, [
        ("actor-descends", "n < live ? -inverse : T(0)", "n < live ? inverse : T(0)"),
        ("actor-loss-sign", "n < live ? -q[n] : T(0)", "n < live ? q[n] : T(0)"),
        ("actor-tanh-slope-dropped", "v * (V(T(1)) - a * a)", "v"),
        ("actor-judged-by-target", "agent.at(p.critic_params)", "agent.at(p.critic_target)"),
        ("actor-gradient-of-target", "agent.at(p.actor_params)", "agent.at(p.actor_target)"),
        ("actor-stored-actions", "store(action + m * B::kLd + n, tanh(v));", ""),
        ("actor-sum-for-mean", "T(1) / static_cast<T>(batch_size)", "T(1)"),
    ]),
    "kernels/mlp.h": (MLP, [
        ("mlp-bias-dropped", "v + V(bias[m])", "v"),
        ("mlp-head-bias-dropped", "v + decltype(v)(bias[m])", "v"),
        ("mlp-relu-dropped", "select(V(T(0)) > z, V(T(0)), z)", "z"),
        ("mlp-relu-hides-nan", "select(V(T(0)) > z, V(T(0)), z)", "select(z > V(T(0)), z, V(T(0)))"),
        ("mlp-weight-gradient-overwritten", "first ? v : load_as<decltype(v)>(g) + v", "v"),
        ("mlp-bias-gradient-overwritten", "first ? v : load_as<decltype(v)>(gb + m) + v", "v"),
        ("mlp-slope-dropped", "v * ds", "v"),
        ("mlp-columns-of-obs", "params + net.weight[0] + @begin@", "0", UPDATE),
    ]),
    "kernels/activation.h": (MLP, [
        ("silu-is-sigmoid", "z * s", "s"),
        ("silu-slope-of-sigmoid", "s * fma(z, one - s, one)", "s * (one - s)"),
        ("tanh-slope-not-squared", "one - h * h", "one - h"),
        ("relu-slope-everywhere", "h > V(Scalar<V>(0))", "h >= V(Scalar<V>(0))"),
    ]),
    "kernels/adam.h": (ADAM, [
        ("adam-m-biased", "o.lr / (1.0 - power(p.beta1, t))", "o.lr"),
        ("adam-v-biased", "1.0 / std::sqrt(1.0 - power(p.beta2, t))", "1.0"),
        ("adam-steps-from-0", "update + 1", "update"),
        ("adam-betas-swapped", "b1 = static_cast<T>(@p.beta1@)", "p.beta2"),
        ("adam-eps-in-the-root", DENOMINATOR, "sqrt(fma(v, V(scale_v) * V(scale_v), V(eps)))"),
        ("adam-eps-before-correction", DENOMINATOR, "(sqrt(v) + V(eps)) * V(scale_v)"),
        ("adam-decay-sign", "fma(V(decay), w, sum * V(scale))", "fma(V(-decay), w, sum * V(scale))"),
        ("adam-other-rate", "actor ? a.hyper().actor_lr : a.hyper().critic_lr", "a.hyper().critic_lr"),
        ("clip-never", "min(bound, T(1))", "T(1)"),
        ("clip-scales-up", "min(bound, T(1))", "bound"),
        ("clip-by-the-square", "sqrt(squared_norm(b, o.sumsq, o.chunks))",
         "squared_norm(b, o.sumsq, o.chunks)"),
        ("clip-by-one-chunk", "reduce<T>(@chunks@, [=](int i) { return sumsq[i]; })", "1"),
        ("target-tau-reversed", SOFT_UPDATE, "fma(V(tau), target - next, next)"),
        ("target-of-old-parameters", SOFT_UPDATE, "fma(V(tau), w - target, target)"),
        ("target-copy-rounded", "tau == T(1)", "false"),
        ("target-interval-one-early", "t % static_cast<uint64_t>(p.target_update_interval) == 0",
         "update % static_cast<uint64_t>(p.target_update_interval) == 0"),
        ("target-every-update", "t % static_cast<uint64_t>(p.target_update_interval) == 0", "true"),
        ("partials-last-dropped", "k < partials", "k < partials - 1"),
        ("partials-in-other-order", "static_cast<uint64_t>(k) * o.count",
         "static_cast<uint64_t>(partials - k) * o.count"),
        ("lagged-in-each-slice", "if (@a.counters().slice != 0@) return;", "false", LAG),
    ]),
    "kernels/noise.h": (ENVIRONMENT, [
        ("ou-keep-without-dt", "1.0 - hyper.ou_theta * hyper.ou_dt", "1.0 - hyper.ou_theta"),
        ("ou-dt-without-root", "std::sqrt(hyper.ou_dt)", "hyper.ou_dt"),
        ("sigma-constant", "h.sigma + (h.sigma_final - h.sigma) * part", "h.sigma"),
        ("sigma-final-ignored", "return @h.sigma_final@;", "h.sigma"),
        ("epsilon-reversed", "uniform01<V>(word(r, j)) < V(epsilon)",
         "uniform01<V>(word(r, j)) > V(epsilon)"),
        ("ladder-dropped", "fma(to_real<V>(env), V(rung), V(T(1)))", "V(T(1))"),
        ("ladder-of-n-rungs", "p.num_envs > 1 ? p.num_envs - 1 : 1", "p.num_envs"),
        ("noise-unclamped", "clamp(fma(sigma, number, mu), -one, one)", "fma(sigma, number, mu)"),
        ("noise-same-in-all-dimensions", "Purpose::kNoise, @static_cast<uint32_t>(d)@", "0u"),
        ("random-action-one-sided", "uniform<V>(word(r, j), @-1@, 1)", "0"),
    ]),
    "kernels/rollout.h": (ENVIRONMENT, [
        ("rollout-no-time-limit", DONE, "r.terminated > V(T(0))"),
        ("rollout-limit-one-late", DONE, "(r.terminated > V(T(0))) | (step > V(limit))"),
        ("rollout-terminated-ignored", DONE, "step >= V(limit)"),
        ("rollout-reset-missing", "store(at, select(done, state[d], load_as<V>(at)));", ""),
        ("rollout-reset-always-the-same", "Purpose::kReset, index, @t + 1@, state", "uint64_t{0}"),
        ("rollout-return-not-reset", "select(done, none, returns)", "returns"),
        ("rollout-steps-not-reset", "select(done, none, steps)", "steps"),
        ("rollout-ou-not-reset", "store(ou, select(done, none, load_as<V>(ou)));", ""),
        ("rollout-end-bit-a-row-on", "end_bits(agent, @row@, first) + n / 32",
         "(row + 1) % agent.plan.ring_rows"),
        ("rollout-end-bits-stay", "bits[w / 32] = 0;", ""),
        ("rollout-end-bits-of-padding", "mask_bits(done) & live", "mask_bits(done)", ROLLOUT),
        ("rollout-lag-ignored", "p.policy_lag != 0 ? p.actor_lagged : p.actor_params",
         "p.actor_params", ROLLOUT),
        ("rollout-action-unscaled", "a * V(Env::action_bound(env, d))", "a"),
        ("rollout-records-next-state", "record[d] = @state[d]@", "next[d]"),
        ("rollout-return-is-last-reward", "load_as<V>(returns + n) + r.reward", "r.reward"),
        ("rollout-warmup-one-longer", "steps_before < p.warmup_steps", "steps_before <= p.warmup_steps"),
        ("rollout-sigma-by-iteration",
         "steps_before + static_cast<uint64_t>(l) * static_cast<uint64_t>(p.num_envs)", "steps_before"),
    ]),
    "kernels/replay_ring.h": (UPDATE, [
        ("replay-no-room-for-lag", "p.policy_lag != 0 ? static_cast<uint64_t>(p.rollout_length) : 0",
         "uint64_t{0}"),
        ("replay-oldest-is-newest", "(last - n) % p.ring_rows", "last % p.ring_rows"),
        ("replay-row-off-by-one", SAMPLED_ROW, SAMPLED_ROW + " + 1"),
        ("replay-newest-row-never", SAMPLED_ROW, "rows.oldest + below(row_word, rows.count - 1)"),
        ("replay-last-environment-never", "static_cast<uint32_t>(p.num_envs)",
         "static_cast<uint32_t>(p.num_envs - 1)"),
        ("replay-begun-anew-ignored", "agent.counters().ring_first", "uint64_t{0}"),
        ("replay-this-rollout-missing", "(agent.counters().iteration + 1)", "agent.counters().iteration"),
        ("replay-every-update-the-same", "Purpose::kSample, 0, call, @update@)", "uint64_t{0}"),
        ("replay-next-obs-is-obs", "Env::observe(env, next, obs);", "Env::observe(env, state, obs);"),
        ("replay-action-in-units", "action[d] * V(T(1) / Env::action_bound(env, d))", "action[d]"),
        ("replay-ends-continue", "V(T(1)) - r.terminated", "V(T(1))"),
    ]),
    "kernels/env_tile.h": (("environments", "*Evaluation*"), [
        ("tile-bound-dropped", "load_as<V>(e.action + d * B::kLd + n) * V(Env::action_bound(env, d))",
         "load_as<V>(e.action + d * B::kLd + n)"),
        ("tile-tanh-dropped", "tanh(v)", "v"),
        ("reset-with-one-number", "static_cast<uint32_t>(d % 4)", "0u"),
    ]),
    "kernels/evaluate.h": (("programs", "EvaluateTest/*"), [
        ("evaluate-counts-after-the-end", "if (@e.done[n] == T(0)@) {", "true"),
        ("evaluate-hides-nan", "total[n] += e.reward[n] + finite;", "total[n] += e.reward[n];"),
        ("evaluate-ends-ignored", "e.done[n] = e.terminated[n];", ""),
        ("evaluate-tiles-start-alike", "static_cast<uint64_t>(first + n)", "static_cast<uint64_t>(n)"),
        ("evaluate-plays-the-target", "agent.at(p.actor_params)", "agent.at(p.actor_target)"),
        ("evaluate-starts-as-training", "Purpose::kEvalReset", "Purpose::kReset"),
    ]),
    "kernels/initialise.h": (ROLLOUT, [
        ("init-by-fan-out", "sqrt(static_cast<T>(net.size[@l@]))", "l + 1"),
        ("init-paper-ignored", "head && init == Init::kPaper", "false"),
        ("init-target-not-copied", "target[first + static_cast<uint32_t>(i)] = w;", ""),
        ("init-lagged-not-copied", "lagged[first + static_cast<uint32_t>(i)] = w;", ""),
        ("init-critic-has-the-actors", "p.critic_init, @64@,", "0"),
    ]),
    "kernels/philox.h": (("kernels", "PhiloxTest/*"), [
        ("philox-other-constant", "0x9E3779B9u", "0x9E3779B1u"),
        ("philox-nine-rounds", "r < @10@", "9"),
        ("philox-key-halves-swapped", "high1 ^ (c.y ^ W(@k0@))", "k1"),
        ("philox-step-of-32-bits", "W(static_cast<uint32_t>(step >> 32) << 8 ^ index_high)", "W(index_high)"),
        ("uniform-of-half", "to_real<R>(@x >> 8@) * R(Scalar<R>(1.0 / 16777216.0))", "x >> 9"),
        ("gaussian-factor-2-dropped", "R(T(-2)) * log(u)", "R(T(-1)) * log(u)"),
        ("gaussian-log-of-zero", "to_real<R>(a >> 9) + R(T(0.5))", "to_real<R>(a >> 9)"),
    ]),
    "kernels/plan.h": (SCHEDULE, [
        ("updates-from-warmup-too", "static_cast<double>(@steps - c.update_start@)", "steps"),
        ("updates-begun-anew", "@c.update_base@ + static_cast<uint64_t>(due", "uint64_t{0}"),
        ("rollout-ahead-in-each-slice", "c.slice + 1 == static_cast<uint32_t>(p.slices)", "true", LAG),
        ("rollout-ahead-of-the-end", "c.iteration + 1 < c.launch_until", "true", LAG),
        ("rollout-ahead-stops-with-a-fault",
         "(p.policy_lag != 0 && iteration <= c.fault_iteration + 1)", "false", LAG),
        ("rollout-ahead-over-the-sums", "iteration % (1 + static_cast<uint64_t>(plan.policy_lag))",
         "uint64_t{0}", LAG),
    ]),
    "kernels/advance.h": (SCHEDULE, [
        ("advance-updates-not-made", "c.updates = @updates + static_cast<uint64_t>(made)@;",
         "updates + static_cast<uint64_t>(p.update_slots)"),
        ("advance-sum-for-mean", "1.0 / static_cast<double>(a.hyper().batch_size)", "1.0"),
        ("advance-iteration-each-slice", "if (@last@) c.iteration += 1;", "true"),
        ("advance-sums-stay", "row ? ReportSums{} : sum", "sum"),
        ("advance-returns-for-lengths", "sum.episode_length += @rollout[2]@;", "rollout[1]"),
        ("advance-infinity-is-finite", "x - x == 0.0", "x == x"),
        ("advance-rollout-each-slice", "slice == 0 && !frozen", "!frozen"),
        ("halt-one-iteration-late", "c.iteration >= c.until_iteration",
         "c.iteration > c.until_iteration"),
        ("halt-ring-overflows", "c.iteration >= c.launch_until", "c.iteration > c.launch_until"),
        ("halt-where-a-rollout-ran-ahead", "if (@c.acts_ahead == 0@) c.halted", "true", LAG),
        ("halt-diverged-a-rollout-early", "@makes_rollout(p, c, c.iteration)@ ? 1.0",
         "c.fault == 0", LAG),
    ]),
    "envs/pendulum.h": (GYMNASIUM, [
        ("pendulum-gravity-sign", "R(T(3) * p.gravity / (T(2) * p.length))",
         "R(T(-3) * p.gravity / (T(2) * p.length))"),
        ("pendulum-length-not-squared", "R(T(3) / (p.mass * p.length * p.length))",
         "R(T(3) / (p.mass * p.length))"),
        ("pendulum-speed-unclipped",
         "clamp(fma(acceleration, R(p.dt), theta_dot), R(-p.max_speed), R(p.max_speed))",
         "fma(acceleration, R(p.dt), theta_dot)"),
        ("pendulum-torque-unclipped", "clamp(action[0], R(-p.max_torque), R(p.max_torque))", "action[0]"),
        ("pendulum-explicit-euler", "fma(@speed@, R(p.dt), theta)", "theta_dot"),
        ("pendulum-angle-unwrapped", "fma(R(-kTwoPi), round(theta * R(T(1) / kTwoPi)), theta)", "theta"),
        ("pendulum-cost-for-reward", "return {@-cost@, R(T(0))};", "cost"),
    ]),
    "envs/cartpole.h": (GYMNASIUM, [
        ("cartpole-speed-not-squared", "R(moment) * theta_dot * theta_dot", "R(moment) * theta_dot"),
        ("cartpole-sin-for-cos", "fma(-cos_theta, f, R(p.gravity) * sin_theta)",
         "fma(-sin_theta, f, R(p.gravity) * cos_theta)"),
        ("cartpole-reaction-sign", "fma(@R(-moment / total)@ * theta_acc, cos_theta, f)",
         "R(moment / total)"),
        ("cartpole-theta-unlimited", CARTPOLE_ENDS, "abs(next[0]) > R(p.x_limit)"),
        ("cartpole-ends-by-old-state", CARTPOLE_ENDS,
         "(abs(state[0]) > R(p.x_limit)) | (abs(state[2]) > R(p.theta_limit))"),
        ("cartpole-semi-implicit", "fma(dt, @state[3]@, state[2])", "fma(dt, theta_acc, state[3])"),
        ("cartpole-force-unclipped", "clamp(action[0], -one, one)", "action[0]", STEP),
        ("cartpole-reset-one-sided", "(R(T(2)) * u[d] - R(T(1))) * R(p.reset_range)",
         "u[d] * R(p.reset_range)", ENVIRONMENT),
    ]),
    "envs/cartpole_swingup.h": (("swingup", "*"), [
        ("swingup-reward-unscaled", "fma(R(T(0.25)), cos_theta, R(T(0.75)))", "cos_theta"),
        ("swingup-explicit-euler", "fma(dt, @next[3]@, state[2])", "state[3]"),
        ("swingup-force-unclipped", "clamp(action[0], -one, one)", "action[0]", STEP),
        ("swingup-starts-upright", "state[2] + R(kPi)", "state[2]", ENVIRONMENT),
        ("swingup-obs-sin-for-cos", "sincos(state[2], obs[3], obs[2]);", "sincos(state[2], obs[2], obs[3]);",
         ("environments", "*.TilesOfABatchAndTheirTargets")),
    ]),
}
