"""deploy/spark on a cluster of one master and two workers, compared with one machine. Usage: cluster.py PROGRAM

An executor is killed while it replays, a program dies once and always, and results get lost: whatever ends well has
every result, and the rest has none.
"""

import gzip
import importlib.util
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pyspark

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parents[3]
JOB = ROOT / "deploy/spark/cd7match_replay.py"
SPARK = pathlib.Path(pyspark.__file__).parent
ENVIRONMENT = dict(
    os.environ, SPARK_HOME=str(SPARK), SPARK_LOCAL_IP="127.0.0.1", SPARK_DAEMON_MEMORY="256m", SPARK_NO_DAEMONIZE="1",
    PYSPARK_PYTHON=sys.executable, PYSPARK_DRIVER_PYTHON=sys.executable, SPARK_DAEMON_JAVA_OPTS="-XX:+UseSerialGC")
AS_OF = ["--as-of", "2025-11-13"]

# What stands before the program where it replays on an executor; the driver runs it as it is.
WRAPPER = """#!/bin/bash
executor=
process=$$
while [ "$process" -gt 1 ]; do
    process=$(awk '{{ print $4 }}' "/proc/$process/stat")
    if tr '\\\\0' ' ' <"/proc/$process/cmdline" | grep -q CoarseGrainedExecutorBackend; then executor=$process; break; fi
done
if [ -n "$executor" ] && [ "$1" = replay ]; then
    {action}
fi
exec {program} "$@"
"""


class Cluster:
    """A master and two workers with one core each, until the end of the block."""

    def __init__(self, folder):
        self.folder = folder
        self.processes = []

    def start(self, name, *arguments):
        log = self.folder / f"{name}.log"
        command = [str(SPARK / "bin/spark-class"), *arguments]
        with log.open("wb") as file:
            self.processes.append(subprocess.Popen(
                command, stdout=file, stderr=subprocess.STDOUT, env=ENVIRONMENT, start_new_session=True))
        return log

    def __enter__(self):
        ports = ["--host", "127.0.0.1", "--port", "0", "--webui-port", "0"]
        try:
            log = self.start("master", "org.apache.spark.deploy.master.Master", *ports)
            self.url = awaited(log, r"Starting Spark master at (spark://127\.0\.0\.1:\d+)")
            for name in ("one", "two"):
                log = self.start(name, "org.apache.spark.deploy.worker.Worker", *ports, "--cores", "1", "--memory", "1g",
                                 "--work-dir", str(self.folder / f"work-{name}"), self.url)
                awaited(log, r"(Successfully registered with master)")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for stop in (signal.SIGTERM, signal.SIGKILL):
            for process in self.processes:
                try:
                    os.killpg(process.pid, stop)
                except ProcessLookupError:
                    pass
            for process in self.processes:
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    pass

    def run(self, program, arguments, timeout=180, java="-XX:+UseSerialGC -XX:TieredStopAtLevel=1"):
        """The exit status of the job; what it says stands in driver.log."""
        with (self.folder / "driver.log").open("wb") as log:
            return subprocess.run(
                [str(SPARK / "bin/spark-submit"), "--master", self.url, "--driver-memory", "512m", "--executor-memory", "512m",
                 "--conf", "spark.driver.host=127.0.0.1", "--conf", "spark.ui.enabled=false",
                 "--conf", "spark.executor.cores=1", "--conf", f"spark.driver.extraJavaOptions={java}",
                 "--conf", f"spark.executor.extraJavaOptions={java}", "--files", str(program), str(JOB), *map(str, arguments)],
                env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, timeout=timeout).returncode

    def submit(self, program, *arguments):
        """(exit status, what it says, sorted results) of the job."""
        output = pathlib.Path(tempfile.mkdtemp(dir=self.folder)) / "out"
        status = self.run(program, [*AS_OF, "--partitions", "4", *arguments, output])
        said = (self.folder / "driver.log").read_text()
        if not (output / "_SUCCESS").exists():
            check(not list(output.glob("part-*")), "results of a job that failed are left")
            return status, said, None
        lines = [line for part in output.glob("part-*") for line in part.read_bytes().splitlines()]
        return status, said, sorted(lines)


def awaited(log, pattern):
    for _ in range(600):
        if found := re.search(pattern, log.read_text()):
            return found[1]
        time.sleep(0.1)
    raise SystemExit(f"spark: {log.name} does not say {pattern}: {log.read_text()[-2000:]}")


def check(holds, what):
    if not holds:
        raise SystemExit(f"spark: {what}")


def same(found, expected, what):
    check(found is not None, f"{what}: there is no output")
    check(len(found) == len(expected), f"{what}: {len(found)} results, not {len(expected)}")
    for left, right in zip(found, expected):
        at = len(os.path.commonprefix([left, right]))
        check(left == right, f"{what}: {left[:40]}: … {left[max(0, at - 150):at + 150]} … is not … {right[max(0, at - 150):at + 150]} …")
    print(f"spark: {what}: {len(found)} results, those of one machine")


def wrapped(folder, program, name, action):
    """A program that does something else first, shipped under its own name. {once} is true the first time."""
    path = folder / name / "cd7match"
    path.parent.mkdir()
    once = f"mkdir {folder / name / 'done'} 2>/dev/null && head -c 2000 >/dev/null"
    path.write_text(WRAPPER.format(program=program, action=action.format(once=once)))
    path.chmod(0o755)
    return path


def alone(program, path):
    """(exit status, reasons, sorted results) of one machine."""
    run = subprocess.run([program, "replay", str(path), *AS_OF, "--format", "ndjson"], capture_output=True)
    reasons = [line.split(" error: ", 1)[1] for line in run.stderr.decode().splitlines() if " error: " in line]
    return run.returncode, reasons, sorted(run.stdout.splitlines())


def stories():
    """The resources of each example patient, with ids of their own."""

    def renamed(value, prefix):
        if isinstance(value, list):
            return [renamed(each, prefix) for each in value]
        if not isinstance(value, dict):
            return value
        value = {name: renamed(each, prefix) for name, each in value.items()}
        reference = value.get("reference")
        if isinstance(reference, str) and re.fullmatch(r"[A-Za-z]+/[^/]+", reference):
            value["reference"] = reference.replace("/", "/" + prefix)
        return value

    for number, folder in enumerate(sorted((ROOT / "fixtures/patients").iterdir())):
        text = (folder / "bundle.json").read_text(encoding="utf-8-sig")
        try:
            entries = [entry.get("resource") for entry in json.loads(text)["entry"]]
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # a story about something else than whole Bundles
        resources = []
        for resource in entries:
            if not isinstance(resource, dict) or not isinstance(resource.get("id"), str):
                continue
            resource = renamed(resource, f"s{number}-")
            resource["id"] = f"s{number}-" + resource["id"]
            resources.append(resource)
        if sum(resource.get("resourceType") == "Patient" for resource in resources) == 1:
            yield resources


def write_export(folder):
    """A bulk export of the stories, with what may be wrong with one."""
    folder.mkdir()
    lines = {}
    for number, resources in enumerate(stories()):
        for resource in resources:
            kind = resource["resourceType"]
            lines.setdefault(f"{kind}.{number % 3:03}.ndjson", []).append(json.dumps(resource).encode())
    # One drug that many refer to; the later of two Medications of an id counts, and the first of two Patients.
    patients = sorted(resource["id"] for resources in stories() for resource in resources
                      if resource["resourceType"] == "Patient")
    codes = [b"1", b"6387"]
    for number, code in enumerate(codes):
        lines[f"Medication.09{number}.ndjson"] = [
            b'{"resourceType":"Medication","id":"shared","code":{"coding":[{"system":'
            b'"http://www.nlm.nih.gov/research/umls/rxnorm","code":"%s","display":"d"}]}}' % code]
    lines["MedicationRequest.009.ndjson"] = [
        json.dumps({"resourceType": "MedicationRequest", "id": f"shared-{patient}", "status": "active", "intent": "order",
                    "subject": {"reference": f"Patient/{patient}"}, "authoredOn": "2025-11-01",
                    "medicationReference": {"reference": "Medication/shared"}}).encode() for patient in patients]
    lines["Patient.009.ndjson"] = [b'{"resourceType":"Patient","id":"%s","gender":"other"}' % patients[0].encode()]
    # Broken: about somebody, about nobody, in bytes that are no UTF-8; of another type; blank; of nobody.
    lines["Condition.000.ndjson"][3:3] = [
        b'{"resourceType":"Condition","subject":{"reference":"Patient/%s"},' % patients[1].encode(), b"", b" \r",
        b'{"resourceType":"Procedure","id":"x"}', b'{"resourceType":"Condition","id":"nobody"}',
        b'{"resourceType":"Condition","id":"tab\\tin","subject":{"reference":"Patient/none\\there"}}']
    lines["AllergyIntolerance.000.ndjson"] = [b"{"]
    lines["Observation.000.ndjson"].insert(1, b'{"resourceType":"Observation","id":"\xff"}')
    lines["Encounter.000.ndjson"] = [b"nobody reads this"]
    lines.pop("Procedure.000.ndjson", None), lines.pop("Procedure.001.ndjson", None), lines.pop("Procedure.002.ndjson", None)
    deleted = [f"Patient/{patients[2]}", "Medication/none", *(f"Condition/{resource['id']}" for resources in
               list(stories())[:40] for resource in resources if resource["resourceType"] == "Condition")]
    (folder / "deleted").mkdir()
    (folder / "deleted/Bundle.000.ndjson").write_text(json.dumps({
        "resourceType": "Bundle", "entry": [{"request": {"method": "DELETE", "url": name}} for name in deleted]}) + "\n{\n")
    for name, texts in lines.items():
        text = b"\n".join(texts) + (b"" if name.startswith("Patient.001") else b"\n")
        if name == "Observation.001.ndjson":
            (folder / (name + ".gz")).write_bytes(gzip.compress(text))
        else:
            (folder / name).write_bytes(text)
    packed = gzip.compress(b"".join(b'{"resourceType":"Immunization","id":"%d","patient":{"reference":"Patient/%s"}}\n' % (
        number, patients[number % 9].encode()) for number in range(20_000)))
    (folder / "Immunization.000.ndjson.gz").write_bytes(packed[: len(packed) // 2])
    count = sum(len(texts) for name, texts in lines.items() if name.startswith("ServiceRequest."))
    (folder / "manifest.json").write_text(json.dumps({"output": [
        {"type": "Condition", "url": "x"}, {"type": "ServiceRequest", "url": "y", "count": count + 1}]}, indent=1))


def write_bundles(folder):
    """NDJSON with a Bundle a line: one file that is read in several pieces, and one that is packed and broken."""
    folder.mkdir()
    bundles = [json.dumps({"resourceType": "Bundle", "type": "collection",
                           "entry": [{"resource": resource} for resource in resources]}).encode() for resources in stories()]
    padding = json.dumps({"resourceType": "Basic", "text": "x" * 60_000}).encode()
    large = [bundle[:-2] + b',{"resource":' + padding + b"}]}" for bundle in bundles]
    (folder / "large.ndjson").write_bytes(b"\n".join(large + [b""] + [b"{"]) + b"\n")
    (folder / "packed.ndjson.gz").write_bytes(gzip.compress(b"\r\n".join(bundles[:20] + [b'{"resourceType":"Bundle"'])))
    check((folder / "large.ndjson").stat().st_size > 8 << 20, "the large file is too small to be cut")


def test_accounting(folder, program):
    """A program that ends well and leaves out a result, or a part of one, is no success."""
    specification = importlib.util.spec_from_file_location("cd7match_replay", JOB)
    job = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(job)
    chart = job.row(b"chart", text=b'{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient","id":"a"}}]}')

    def outcome(script, rows):
        path = folder / "partial"
        path.write_text(f"#!/bin/bash\n{script}\n")
        path.chmod(0o755)

        class Given(job.Program):
            def command(self, *arguments, evaluates=False):
                return [str(path), *arguments, *AS_OF]

        try:
            return len(list(job.evaluated(Given("", [], None), rows, lambda: 3, None)))
        except Exception as problem:
            return type(problem).__name__

    def failing():
        yield chart
        raise ValueError("upstream")

    rows = [chart] * 3
    table = [("all", f'exec {program} "$@"', rows, 3), ("one less", f'{program} "$@" | sed 1d', rows, "RuntimeError"),
             ("half a line", f'{program} "$@" | head -c -9', rows, "RuntimeError"),
             ("a signal", f'{program} "$@"; kill -9 $$', rows, "RuntimeError"),
             ("status 3 for nothing", f'{program} "$@"; exit 3', rows, "RuntimeError"),
             ("no start", "exit 2", rows, "RuntimeError"), ("input that ends early", f'exec {program} "$@"', failing(), "ValueError")]
    for name, script, given, expected in table:
        found = outcome(script, given)
        check(found == expected, f"{name}: {found}, not {expected}")
    print(f"spark: {len(table)} ways for a partition to end are told apart")


def main(program):
    began = time.monotonic()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="cd7match-spark-"))
    try:
        write_export(folder / "export")
        write_bundles(folder / "bundles of 2 wards")
        test_accounting(folder, program)
        with Cluster(folder) as cluster:
            print(f"spark: a master and two workers after {time.monotonic() - began:.0f} s")
            killed = wrapped(folder, program, "killed", '{once} && kill -9 "$executor" && sleep 60')
            expected = alone(program, folder / "export")
            check(expected[0] == 3 and len(expected[2]) > 100, "the export is not as it should be")
            status, log, found = cluster.submit(killed, folder / "export")
            check((folder / "killed/done").exists(), "no executor was killed")
            same(found, expected[2], "a bulk export, an executor killed with kill -9 while it replayed")
            check(status == expected[0], f"exit status {status}, not {expected[0]}")
            for reason in expected[1]:
                reason = re.sub(r"(\.ndjson:\d+|\.gz(?=:\d+)).*", r"\1: ", reason)  # Hadoop has other words for a broken gzip
                check(reason in log, f"the job does not say {reason}")
            check(re.search(r"[1-9]\d* resources belong to no Patient", log), "resources of nobody are not counted")

            dies = wrapped(folder, program, "dies", "{once} && kill -9 $$")
            expected = alone(program, folder / "bundles of 2 wards")
            status, log, found = cluster.submit(dies, folder / "bundles of 2 wards")
            check((folder / "dies/done").exists(), "the program did not die")
            same(found, expected[2], "Bundles, the program killed once")
            check(status == 3 and "2 of " in log, f"two broken lines: exit status {status}")

            # One partition of four, always: the others are done, and nothing of them is seen.
            always = wrapped(folder, program, "always", """given=$(mktemp); cat >"$given"; exec <"$given"
    if grep -q '^s12-' "$given"; then rm "$given"; kill -9 $$; fi; rm "$given\"""")
            status, log, found = cluster.submit(always, folder / "export")
            check(status == 1 and found is None, f"a program that always dies: exit status {status}")
            check("signal 9" in log, "the job does not say that the program was killed")
            status, log, _ = cluster.submit(program, "--trial", "NCT00000000", folder / "export")
            check(status == 2 and "NCT00000000" in log, f"an unknown trial: exit status {status}")
        print(f"spark: ok after {time.monotonic() - began:.0f} s")
    except SystemExit:
        if (folder / "driver.log").exists():
            sys.stderr.write((folder / "driver.log").read_text()[-6000:])
        raise
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(str(pathlib.Path(sys.argv[1]).resolve()))
