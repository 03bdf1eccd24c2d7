"""A report in the format of `pendula bench --json`, for tests. Its numbers are invented."""

MACHINE = {"cpu": "Invented CPU (1st Gen)", "cores": 2, "simd_level": "avx2",
           "compiler": "g++ 12.2.0", "commit": "0" * 12}
PEAK, SGEMM, TRIAD = 75e9, 60e9, 18e9  # of one core: FLOP/s, FLOP/s, bytes/s
METRICS = {"env": "env_steps_per_second", "rollout": "env_steps_per_second",
           "update": "updates_per_second", "train": "updates_per_second",
           "population": "updates_per_second"}


def row(suite, median, limit=None, **keys):
    """A row whose repeats lie within 1% of the median."""
    keys.setdefault("metric", METRICS.get(suite))
    result = {"suite": suite, "case": keys.pop("case", "pendulum"), "backend": "cpu", **keys,
              "repeats": 11, "median": median, "min": 0.99 * median, "max": 1.01 * median,
              "spread": 0.01}
    if limit:
        result.update(limit=limit, limit_from="sgemm", percent_of_limit=100 * median / limit)
    return result


def machine_rows():
    flops, moved = "flop_per_second", "bytes_per_second"
    rows = [row("machine", threads * PEAK, case="fma", threads=threads, metric=flops)
            for threads in (1, 2)]
    rows += [row("machine", times * TRIAD, case=case, threads=1, metric=moved)
             for case, times in (("triad_l1", 5), ("triad_l2", 2.5), ("triad_memory", 1))]
    rows += [row("machine", threads * times * SGEMM, case="sgemm", m=m, n=n, k=n, threads=threads,
                 metric=flops)
             for m, n, times in ((100, 64, 0.9), (128, 64, 1), (256, 256, 1.02))
             for threads in (1, 2)]
    return rows


def report():
    """One that passes every check."""
    rows = machine_rows()
    for envs, rate in ((64, 0.2e9), (1024, 0.42e9), (65536, 0.42e9)):
        rows += [row("env", times * rate, 1.1e9, num_envs=envs, rollout_length=length, threads=1)
                 for length, times in ((1, 0.7), (32, 1))]
    for network, rate in (("2x64", 5e6), ("2x256", 3.5e5)):
        rows += [row("rollout", rate, 1.2 * rate, network=network, num_envs=envs, rollout_length=1,
                     threads=1) for envs in (64, 1024, 65536)]
    for network, flop in (("2x64", 86528), ("2x256", 1329152)):
        for batch in (100, 128, 256, 1024):
            for threads in (1, 2):
                limit = threads * SGEMM / flop / batch
                rows.append(row("update", 0.97 * limit, limit, network=network, batch=batch,
                                threads=threads))
    for agents in (1, 64):
        for threads in (1, 2):
            limit = threads * SGEMM / 86528 / 128
            rows.append(row("population", 0.98 * limit, limit, network="2x64", batch=128,
                            agents=agents, threads=threads))
    rows.append(row("train", 4000, 5000, network="2x64", batch=128, num_envs=8, threads=1))
    return {"machine": dict(MACHINE), "rows": rows}
