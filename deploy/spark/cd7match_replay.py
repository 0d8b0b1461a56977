#!/usr/bin/env python3
"""Replays charts on a Spark cluster: what 'cd7match replay' prints on one machine, in another order.

  spark-submit --files cd7match deploy/spark/cd7match_replay.py --as-of 2025-11-13 hdfs:///export hdfs:///screened

Inputs are folders of a FHIR bulk export, and NDJSON with a Bundle a line (files, or folders of them), packed or not, on any
Hadoop file system. Exit status: 0 all were evaluated; 1 the job failed, and there is no output; 2 usage or knowledge;
3 some inputs could not be read (the rest was evaluated). README.md beside this file says more.
"""

import argparse
import datetime
import heapq
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import urllib.parse
import zlib

from py4j.protocol import Py4JJavaError
from pyspark import SparkFiles
from pyspark.accumulators import AccumulatorParam
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType, StructField, StructType

ALL_EVALUATED, JOB_FAILED, USAGE_ERROR, SOME_UNREADABLE = 0, 1, 2, 3
MOST_REASONS = 1000  # that are named; all are counted
REFERENCED = ("Medication", "ResearchStudy")  # types that others refer to (fhir/resource_type.h)
BUNDLE_FILES = (".ndjson", ".ndjson.gz", ".jsonl", ".jsonl.gz")
MEBI = 1 << 20
MOST_PARTITIONS = 10_000  # unless more are asked for
SMALLEST_SPLIT, LARGEST_SPLIT = 4 * MEBI, 128 * MEBI
BLANK = b" \t\r\n\xef\xbb\xbf"  # as the program skips it
LOG_LINE = re.compile(r"^\S+Z (?P<level>warning|error): (?P<message>.*)$")
NOT_EVALUATED = re.compile(r"^(\d+) of (\d+) inputs could not be evaluated$")
UNASSIGNED = re.compile(r"(\d+) resources belong to no Patient of this folder$")


class Refused(Exception):
    """What is wrong with the arguments, for the one who gave them."""


# ---- Rows, the lines of text that the program reads and writes (cds-hooks/bulk_row.h)


def field(text):
    return text.encode().replace(b"\\", b"\\\\").replace(b"\t", b"\\t").replace(b"\n", b"\\n")


def row(kind, name="", text=b""):
    """One that concerns all."""
    return b"\t".join((b"", kind, field(name), b"", b"0", b"", b"0", b"0", text))


def group_of(key, groups):
    """The partition of a key. The same everywhere and in every run; partition 0 is for what concerns all."""
    return zlib.crc32(key) % groups + 1


def itself(number):
    return number


# ---- The program


class Program:
    """The program file that was shipped with --files, and its options. Travels to the executors."""

    def __init__(self, name, shared, site):
        self.name, self.shared, self.site = name, shared, site

    @staticmethod
    def shipped(name):
        """Where a shipped file lies on this machine."""
        for path in (SparkFiles.get(name), os.path.abspath(name)):
            if os.path.exists(path):
                return path
        raise FileNotFoundError(f"{name} is not here; ship it with --files")

    def command(self, *arguments, evaluates=False):
        command = [self.shipped(self.name), *arguments]
        if evaluates:
            command += self.shared
            if self.site:
                command += ["--site", self.shipped(self.site)]
        return command


class Piped:
    """Pipes lines through a program. Its exit status, its messages, and that it was fed to the end are checked by finish().

    Errors: RuntimeError for any end but 0 or those allowed, a signal included, and whatever reading the lines raised.
    """

    def __init__(self, command, lines, allowed=(0,)):
        self.command, self.lines, self.allowed = command, lines, allowed
        self.messages = []  # (level, message)
        self.status = None
        self.problem = None

    def _feed(self):
        try:
            with self.process.stdin as stdin:
                for line in self.lines:
                    stdin.write(line)
                    stdin.write(b"\n")
        except BaseException as problem:  # given to the thread that reads
            self.problem = problem

    def __iter__(self):
        with tempfile.TemporaryFile() as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, bufsize=1 << 18)
            feeder = threading.Thread(target=self._feed, daemon=True)
            try:
                feeder.start()
                for line in self.process.stdout:
                    if not line.endswith(b"\n"):
                        break  # died in the middle of it; its status says so
                    yield line[:-1]
                self.status = self.process.wait()
                feeder.join()
            finally:
                if self.process.poll() is None:
                    self.process.kill()
                    self.process.wait()
            log.seek(0)
            text = log.read().decode(errors="replace")
            self.finish(text)

    def finish(self, text):
        if self.problem is not None and not isinstance(self.problem, BrokenPipeError):
            raise self.problem
        if self.status not in self.allowed or self.problem is not None:
            end = f"signal {-self.status}" if self.status < 0 else f"exit status {self.status}"
            raise RuntimeError(f"{os.path.basename(self.command[0])} {self.command[1]}: {end}: {text[-2000:]}")
        for line in text.splitlines():
            if found := LOG_LINE.match(line):
                self.messages.append((found["level"], found["message"]))


# ---- What is counted


class Tally(AccumulatorParam):
    """Sums of counts, and the first reasons. Tasks of the last stage count once, however often Spark runs them."""

    @staticmethod
    def empty():
        return {"evaluated": 0, "failed": 0, "unassigned": 0, "reasons": []}

    def zero(self, value):
        return self.empty()

    def addInPlace(self, left, right):
        return {name: (left[name] + right[name])[:MOST_REASONS] if name == "reasons" else left[name] + right[name]
                for name in left}


def evaluated(program, rows, expected, tally, known=frozenset()):
    """The results of the rows, each a line. `expected()` is how many inputs the rows were, asked at the end.

    Errors: RuntimeError when fewer, or more, came back than are accounted for.
    """
    piped = Piped(program.command("replay", "-", "--rows", "--format", "ndjson", evaluates=True), rows, allowed=(0, 3))
    lines = 0
    for line in piped:
        lines += 1
        yield line
    count = Tally.empty()
    for level, message in piped.messages:
        if found := NOT_EVALUATED.match(message):
            count["failed"] = int(found[1])
        elif found := UNASSIGNED.search(message):
            count["unassigned"] += int(found[1])
        elif message not in known and len(count["reasons"]) < MOST_REASONS:
            count["reasons"].append(message)
    count["evaluated"] = lines
    if lines + count["failed"] != expected() or (count["failed"] > 0) != (piped.status == 3):
        raise RuntimeError(f"{expected()} inputs, but {lines} results and {count['failed']} that could not be "
                           f"evaluated (exit status {piped.status})")
    if tally is not None:
        tally.add(count)


# ---- Reading


class Files:
    """Files of one input, in the order in which one machine reads them, and where the pieces of each begin."""

    def __init__(self, spark, found, split):
        """found: (uri, name as one machine would call it, type of its resources, bytes). split: bytes of a piece."""
        self.spark = spark
        self.found = found
        self.problems = []  # (rank, name, type, reason)
        self.ignored = set()  # uris that can be read in part
        self.begins = {}
        ranked = list(enumerate(found))
        self.count([(rank, file) for rank, file in ranked if file[3] > split or file[0].endswith(".gz")])

    def frame(self, uris):
        """Columns file, start (of the piece, in bytes) and value, lines in their order."""
        # Whatever the cluster's defaults are, nothing is left out in silence.
        reader = self.spark.read.options(**{
            "lineSep": "\n", "ignoreCorruptFiles": set(uris) <= self.ignored, "ignoreMissingFiles": False,
            "mapreduce.input.linerecordreader.line.maxlength": 2**31 - 1})
        return reader.text(uris).select(
            F.col("_metadata.file_path").alias("file"), F.col("_metadata.file_block_start").alias("start"),
            F.col("value").cast("binary").alias("value"))

    def count(self, ranked):
        """Finds the first line of each piece of large files, and files that cannot be read to their end."""
        if not ranked:
            return
        try:
            counted = self.frame([uri for _, (uri, *_) in ranked]).groupBy("file", "start").agg(
                F.count("*").alias("lines"), F.sum(F.octet_length("value") + 1).alias("bytes")).collect()
        except (PySparkException, Py4JJavaError) as problem:
            if len(ranked) > 1:  # which of them?
                self.count(ranked[: len(ranked) // 2])
                self.count(ranked[len(ranked) // 2:])
                return
            rank, (uri, name, kind, _) = ranked[0]
            if uri in self.ignored:
                raise
            self.ignored.add(uri)
            causes = re.findall(r"Caused by: [\w.$]+: ([^\n]+)", str(problem))
            self.problems.append((rank, name, kind, causes[-1] if causes else "cannot be read to its end"))
            self.count(ranked)
            return
        line = offset = 0
        last = None
        for piece in sorted(counted, key=lambda piece: (piece["file"], piece["start"])):
            if piece["file"] != last:
                line = offset = 0
            last = piece["file"]
            self.begins[last, piece["start"]] = (line, offset)
            line += piece["lines"]
            offset += piece["bytes"]

    def rows(self, kind_of_row):
        """An RDD of one row for each line that is not blank."""
        about = {normalised(uri): (rank, field(name), field(kind)) for rank, (uri, name, kind, _) in enumerate(self.found)}
        begins = self.begins
        parts = [[uri for uri, *_ in self.found if uri not in self.ignored],
                 [uri for uri, *_ in self.found if uri in self.ignored]]
        shared = self.spark.sparkContext.broadcast((about, begins))

        def read(lines):
            about, begins = shared.value
            piece = None
            for file, start, value in lines:
                if (file, start) != piece:
                    piece = (file, start)
                    rank, name, kind = about[normalised(file)]
                    line, offset = begins.get(piece, (0, 0))
                    head = b"\t".join((b"", kind_of_row, kind, b"", b"%d" % rank, name))
                line += 1
                if value.strip(BLANK):
                    yield b"%s\t%d\t%d\t%s" % (head, line, offset, value)
                offset += len(value) + 1

        frames = [self.frame(uris).rdd.mapPartitions(read) for uris in parts if uris]
        return self.spark.sparkContext.union(frames) if frames else self.spark.sparkContext.parallelize([], 1)


def normalised(uri):
    """Spark writes some as file:/// and with %20."""
    return urllib.parse.unquote(uri.replace(":///", ":/", 1))


def listed(spark, path):
    """(uri, path below, bytes) of every file of a folder, in the order of their paths, or of one file.

    Errors: Refused when there is none.
    """
    jvm = spark.sparkContext._jvm
    root = jvm.org.apache.hadoop.fs.Path(path)
    system = root.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())
    if not system.exists(root):
        raise Refused(f"{path}: there is no such file or folder")
    base = system.makeQualified(root).toString()
    files = []
    entries = system.listFiles(root, True)
    while entries.hasNext():
        entry = entries.next()
        uri = entry.getPath().toString()
        below = uri[len(base):].lstrip("/")
        if re.search(r"[*?\[\]{}\\\t\n]", uri) or re.match(r"(.*/)?[._][^/]*(ndjson|jsonl)(\.gz)?$", below):
            raise Refused(f"{uri}: Spark would read another file, or none, by this name")
        files.append((uri, below, entry.getLen()))
    return sorted(files, key=lambda file: file[1].encode())


# ---- A folder of a bulk export


def keyed(program, maximum, groups, are_referenced=False):
    """Rows of lines to (partition, row): what each line comes to, by the program."""

    def read(lines):
        fed = counted = 0

        def feeding():
            nonlocal fed
            for line in lines:
                fed += not line.startswith(b"\tline\tdeleted\t")
                yield line

        for found in Piped(program.command("bulk", "lines", "--max-size", str(maximum)), feeding()):
            key, kind, _ = found.split(b"\t", 2)
            if kind == b"counted":
                counted += int(found.rsplit(b"\t", 1)[1])
            if kind == (b"resource" if are_referenced else b"referenced"):
                raise RuntimeError("this program refers to other types than this job")
            with_key = kind in (b"resource", b"referenced") or (kind == b"broken" and key)
            yield (group_of(key, groups) if with_key else 0, found)
        if fed != counted:
            raise RuntimeError(f"{fed} lines, but {counted} are accounted for")

    return read


def collect_common(pairs):
    """What concerns all: partition 0."""
    counted, deleted, broken, problems, failed = {}, set(), set(), [], 0

    def distinct():
        nonlocal failed
        for _, found in pairs:
            _, kind, name, _, rank, file, line, offset, text = found.split(b"\t", 8)
            if kind == b"counted":
                counted[name] = counted.get(name, 0) + int(text)
            elif kind == b"deleted":
                deleted.add(found)
            elif kind == b"broken":
                broken.add(b"\t".join((b"", kind, name, b"", b"0", b"", b"0", b"0", b"")))
            else:
                failed += name != b"deleted"
                yield int(rank), int(line), name.decode(), file.decode(), int(offset), text.decode(errors="replace")

    problems = heapq.nsmallest(MOST_REASONS, distinct())
    return [(counted, deleted, broken, problems, failed)]


def exported(spark, program, options, path, files, types, tally, split):
    """The results of one export, an RDD of lines; what was wrong with its lines is in the tally when this returns."""
    sc = spark.sparkContext
    context_rows = [row(b"folder", path)]
    for uri, below, size in files:
        if types.get(below) == "error" and size > 0:
            context_rows.append(row(b"error", f"{path}/{below}"))
        elif below in types and types[below] not in ("error", "deleted"):
            context_rows.append(row(b"counted", types[below], b"0"))
        elif below == "manifest.json":
            text = spark.read.text(uri, wholetext=True).select(F.col("value").cast("binary")).first()[0]
            context_rows.append(row(b"manifest", text=bytes(text).replace(b"\r", b" ").replace(b"\n", b" ")))
    read = [(uri, f"{path}/{below}", types[below], size) for uri, below, size in files
            if types.get(below, "error") != "error" and size > 0]
    total = sum(size for *_, size in read)
    groups = options.partitions or min(max(sc.defaultParallelism, total // (16 * MEBI)), MOST_PARTITIONS)
    apart = [file for file in read if file[2] in REFERENCED]
    among = Files(spark, [file for file in read if file not in apart], split)
    grouped = among.rows(b"line").mapPartitions(keyed(program, options.max_size, groups))
    grouped = grouped.partitionBy(groups + 1, itself)
    common = sc.runJob(grouped, collect_common, [0])
    parts = grouped
    broken_files = list(among.problems)
    if apart:
        aside = Files(spark, apart, split)
        broken_files += aside.problems
        texts = aside.rows(b"line").mapPartitions(keyed(program, options.max_size, groups, are_referenced=True))
        texts = texts.partitionBy(groups + 1, itself)
        common += sc.runJob(texts, collect_common, [0])
        parts = grouped.union(referred(grouped, texts, groups))
        if parts.getNumPartitions() != groups + 1:
            raise RuntimeError("the shuffles do not fit together")
    reasons = []
    count = Tally.empty()
    deleted = set()
    for counted, removed, broken, problems, failed in common:
        context_rows += [row(b"counted", name.decode(), b"%d" % lines) for name, lines in counted.items()]
        context_rows += [*removed, *broken]
        deleted |= {found.split(b"\t", 1)[0] for found in removed}
        reasons += [f"{file}:{line}: {text} (byte {offset})" for _, line, _, file, offset, text in problems]
        count["failed"] += failed
    for _, name, kind, reason in broken_files:
        reasons.append(f"{name}: {reason}")
        if kind != "deleted":
            context_rows += [row(b"broken", kind), row(b"counted", kind, b"1")]
            count["failed"] += 1
    # What is wrong with the export as a whole is said once, here, and not by every task.
    alone = Piped(program.command("replay", "-", "--rows", "--format", "ndjson", evaluates=True), context_rows)
    if list(alone):
        raise RuntimeError("a result without a patient")
    known = frozenset(message for _, message in alone.messages)
    count["reasons"] = reasons + sorted(known)
    tally.add(count)
    context = sc.broadcast((context_rows, deleted))

    def evaluate(index, pairs):
        if index == 0:
            return
        common_rows, gone = context.value
        patients = set()

        def rows():
            yield from common_rows
            for _, found in pairs:
                key, _, name, _ = found.split(b"\t", 3)
                if name.startswith(b"Patient/") and key not in gone:
                    patients.add(key)
                yield found

        yield from evaluated(program, rows(), lambda: len(patients), tally, known)

    return parts.mapPartitionsWithIndex(evaluate)


def referred(grouped, texts, groups):
    """What the resources of each partition refer to (Medication), once for each partition that needs it."""

    def wants(index, pairs):
        names = set()
        for _, found in pairs:
            names.update(found.split(b"\t", 4)[3].split())
        for name in names:
            yield group_of(name, groups), (name, index)

    def join(pairs):
        wanted = {}
        for _, found in pairs:  # first all of those who want, since a union of two keeps their order
            if isinstance(found, tuple):
                wanted.setdefault(found[0], []).append(found[1])
            else:
                for index in wanted.get(found.split(b"\t", 1)[0], ()):
                    yield index, found

    wanted = grouped.mapPartitionsWithIndex(wants).partitionBy(groups + 1, itself)
    both = wanted.union(texts)
    if both.getNumPartitions() != groups + 1:
        raise RuntimeError("the shuffles do not fit together")
    return both.mapPartitions(join).partitionBy(groups + 1, itself)


# ---- Bundles


def bundled(spark, program, path, files, tally, split):
    """The results of NDJSON with a Bundle a line, an RDD of lines."""
    named = [(uri, f"{path}/{below}" if below else path, "", size) for uri, below, size in files]
    for _, name, _, _ in named:
        if name.endswith((".json", ".json.gz")):
            raise Refused(f"{name}: one Bundle a file is not read here; make NDJSON of them, one Bundle a line")
    found = Files(spark, [file for file in named if file[1].endswith(BUNDLE_FILES)], split)
    if not found.found:
        raise Refused(f"{path}: the folder holds no .ndjson file")
    count = Tally.empty()
    for _, name, _, size in found.found:
        if size == 0:
            found.problems.append((0, name, "", "the file is empty"))
    for _, name, _, reason in found.problems:
        count["failed"] += 1
        count["reasons"].append(f"{name}: {reason}")
    tally.add(count)

    def evaluate(lines):
        inputs = 0

        def rows():
            nonlocal inputs
            for line in lines:
                inputs += 1
                yield line

        yield from evaluated(program, rows(), lambda: inputs, tally)

    return found.rows(b"chart").mapPartitions(evaluate)


# ---- The job


def parsed(arguments):
    parser = argparse.ArgumentParser(
        prog="cd7match_replay.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", nargs="+", help="folder of a bulk export, or NDJSON with a Bundle a line")
    parser.add_argument("output", help="folder for the results; must not be there yet")
    parser.add_argument("--as-of", default="today", help="YYYY-MM-DD, today (UTC, the day the job begins) or latest")
    parser.add_argument("--covers", action="append", default=[], help="as of 'cd7match replay'")
    parser.add_argument("--trial", action="append", default=[], help="as of 'cd7match replay'")
    parser.add_argument("--site", help="overlay of a site: the name of a file that --files ships as well")
    parser.add_argument("--program", default="cd7match", help="name of the program that --files ships")
    parser.add_argument("--partitions", type=int, default=0, help="of patients (default: one for each 16 MiB)")
    parser.add_argument("--memory", type=int, default=256, help="MiB that the program holds in each task")
    parser.add_argument("--max-size", type=int, default=64, help="largest Bundle or line, in MiB")
    parser.add_argument("--compression", default="none", choices=("none", "gzip", "lz4", "snappy"), help="of the results")
    options = parser.parse_args(arguments)
    if options.as_of == "today":
        options.as_of = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    return options


def write_manifest(spark, options, version, tally):
    """What the output was made of, beside it in its folder; Hadoop's readers pass over names that begin with _."""
    text = json.dumps({
        "program": version, "asOf": options.as_of, "covers": options.covers, "trials": options.trial,
        "inputs": options.path, "charts": {"evaluated": tally["evaluated"], "failed": tally["failed"]},
        "unassigned": tally["unassigned"], "problems": tally["reasons"]}, ensure_ascii=False, indent=1)
    path = spark.sparkContext._jvm.org.apache.hadoop.fs.Path(options.output, "_manifest.json")
    stream = path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration()).create(path, True)
    try:
        stream.write(bytearray(text.encode() + b"\n"))
    finally:
        stream.close()


def replay(spark, options):
    """Returns the exit status. Errors: Refused; whatever makes Spark fail the job."""
    sc = spark.sparkContext
    output = sc._jvm.org.apache.hadoop.fs.Path(options.output)
    if output.getFileSystem(sc._jsc.hadoopConfiguration()).exists(output):
        raise Refused(f"{options.output}: is there already")
    shared = ["--as-of", options.as_of, "--threads", "1", "--memory", str(options.memory),
              "--max-size", str(options.max_size)]
    for name, values in (("--covers", options.covers), ("--trial", options.trial)):
        shared += [word for value in values for word in (name, value)]
    program = Program(options.program, shared, options.site)
    try:
        version = subprocess.run(program.command("--version"), capture_output=True, check=True).stdout.decode().strip()
        # Whatever is wrong with the options or the overlay is said before anything is read.
        list(Piped(program.command("replay", "-", "--rows", "--format", "ndjson", evaluates=True), []))
    except (OSError, RuntimeError, subprocess.CalledProcessError) as problem:
        raise Refused(str(problem)) from problem
    tally = sc.accumulator(Tally.empty(), Tally())
    results = []
    for path in options.path:
        files = listed(spark, path)
        names = "".join(below + "\n" for _, below, _ in files)
        reply = subprocess.run(program.command("bulk", "files"), input=names.encode(), capture_output=True, check=True)
        types = dict(reversed(line.split("\t", 1)) for line in reply.stdout.decode().splitlines())
        total = sum(size for _, below, size in files if below in types or below.endswith(BUNDLE_FILES) or not below)
        split = min(max(total // (3 * sc.defaultParallelism), SMALLEST_SPLIT), LARGEST_SPLIT)
        # A file is cut into pieces of this size, and each piece is a task.
        spark.conf.set("spark.sql.files.maxPartitionBytes", split)
        spark.conf.set("spark.sql.files.openCostInBytes", split)
        if "Patient" in types.values():
            results.append(exported(spark, program, options, path.rstrip("/"), files, types, tally, split))
        else:
            results.append(bundled(spark, program, path.rstrip("/"), files, tally, split))
    schema = StructType([StructField("value", BinaryType(), False)])  # a string would be read and written twice
    lines = spark.createDataFrame(sc.union(results).map(lambda line: (line,)), schema, verifySchema=False)
    lines.select(F.col("value").cast("string")).write.option("compression", options.compression).text(options.output)
    count = tally.value
    for reason in count["reasons"]:
        print(reason, file=sys.stderr)
    if count["unassigned"] > 0:
        print(f"{count['unassigned']} resources belong to no Patient", file=sys.stderr)
    print(f"{count['failed']} of {count['evaluated'] + count['failed']} inputs could not be evaluated", file=sys.stderr)
    try:
        write_manifest(spark, options, version, count)
    except Exception as problem:  # the results are committed: what is said above is all that is known of them
        print(f"cd7match_replay.py: the output is complete, and has no manifest: {problem}", file=sys.stderr)
        return JOB_FAILED
    return SOME_UNREADABLE if count["failed"] > 0 else ALL_EVALUATED


def main():
    options = parsed(sys.argv[1:])
    spark = SparkSession.builder.appName("cd7match replay").getOrCreate()
    try:
        return replay(spark, options)
    except Refused as problem:
        print(f"cd7match_replay.py: {problem}", file=sys.stderr)
        return USAGE_ERROR
    except Exception as problem:
        print(f"cd7match_replay.py: the job failed, and there is no output: {problem}", file=sys.stderr)
        return JOB_FAILED
    finally:
        spark.stop()


if __name__ == "__main__":
    sys.exit(main())
