"""Runs the test vectors of the protocol: run.py FOLDER. Prints TAP: a line for each vector, and what was found where it differs."""
import json
import sys
from pathlib import Path

from envelope import Refused, judge_times, match, open_sealed, verify_request, verify_result
from keys import read_private, read_public


def run_request(vector, trust):
    claims, entries = verify_request(vector["token"], trust)
    judge_times(claims, vector["clock"], trust)
    return {"claims": claims, "sealed": open_sealed(claims, entries, trust)}


def run_result(vector, trust):
    return {"result": match(verify_result(vector["token"], trust), vector["request"])}


def run_keys(vector, _):
    read = read_private if vector.get("private") else read_public
    try:
        return [{name: key[name] for name in ("kid", "use", "alg")} for key in read(vector["text"])]
    except ValueError:
        return []


def runner(file):
    if "trust" not in file:
        return run_keys
    return run_result if "agents" in file["trust"] else run_request


def observe(run, vector, trust):
    try:
        return run(vector, trust)
    except Refused as fault:
        found = {"step": fault.step, "reason": fault.reason, "answered": fault.answered}
        return {name: value for name, value in found.items() if value}


def main(folder):
    steps = 0
    for path in sorted(Path(folder).rglob("*.json")):
        file = json.loads(path.read_text("utf-8"))
        if file["format"] != 1:
            raise SystemExit(f"{path}: format {file['format']}")
        for vector in file["vectors"]:
            got, steps = observe(runner(file), vector, file.get("trust")), steps + 1
            print("ok" if got == vector["expect"] else "not ok", steps, "-", path.relative_to(folder).as_posix() + "/" + vector["name"])
            if got != vector["expect"]:
                print("# expected", json.dumps(vector["expect"]))
                print("# found", json.dumps(got))
    print(f"1..{steps}")


main(sys.argv[1])
