"""A test runner that prints TAP: "ok 1 - name" or "not ok 1 - name" for each step, comments with the reason below a failed
one, and the plan "1..n" last, so that a run that ended early cannot pass for a whole one."""

import traceback

_steps = []


def step(name):
    """Registers a function as a step; it raises when what it checks does not hold."""
    def register(run):
        _steps.append((name, run))
        return run
    return register


def run_all():
    """Runs all steps in their order, each even when one before it failed. Returns whether all passed."""
    failed = 0
    for number, (name, run) in enumerate(_steps, 1):
        try:
            run()
            print(f"ok {number} - {name}", flush=True)
        except Exception:
            failed += 1
            print(f"not ok {number} - {name}")
            for line in traceback.format_exc().splitlines():
                print(f"# {line}", flush=True)
    print(f"1..{len(_steps)}")
    return failed == 0


def equal(got, want, what="value"):
    """Raises unless got equals want."""
    if got != want:
        raise AssertionError(f"{what}: got {got!r}, want {want!r}")


def raises(kind, run, condition=None):
    """Raises unless run raises kind, with the AMQP condition if one is given. Returns the exception."""
    try:
        run()
    except kind as error:
        if condition is not None:
            equal(error.condition, condition, "condition")
        return error
    raise AssertionError(f"no {kind.__name__} was raised")
