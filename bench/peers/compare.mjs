// Compares what cd7match, CQL and FHIRPath say, patient by patient: node compare.mjs CD7MATCH CQL FHIRPATH, NDJSON each.
// Prints the counts on one line. Where two decided verdicts, or two look-ups, differ: the patient's number (the line in the
// charts) and the criterion or fact on standard error, and exit status 1.
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";

const answers = process.argv.slice(2).map((file) =>
  createInterface({ input: createReadStream(file) })[Symbol.asyncIterator]());
const criteria = new Set();
const count = { alike: 0, differ: 0, onlyOurs: 0, onlyTheirs: 0, neither: 0, ended: 0, lookUpsAlike: 0, lookUpsDiffer: 0 };
const mostShown = 50;

function differ(what, patient, criterion, ours, theirs) {
  if (++count[what] <= mostShown) console.error(`patient ${patient}: ${criterion}: cd7match ${ours}, ${theirs}`);
}

/** The truth of each criterion, and for each fact the one result on file that cd7match decided with. */
function read(line) {
  const truths = new Map();
  const facts = new Map();
  for (const { trial, criteria } of JSON.parse(line).trials) {
    for (const { id, truth, basis, evidence = [] } of criteria) {
      truths.set(`${trial} ${id}`, truth);
      if (basis !== "recorded") continue;
      for (const { fact, source, value } of evidence) {
        if (!source?.startsWith("Observation/") || value === undefined) continue;
        facts.set(fact, facts.has(fact) && facts.get(fact).source !== source ? {} : { source, value });
      }
    }
  }
  return { truths, facts };
}

for (let patient = 1; ; ++patient) {
  const [ours, cql, fhirpath] = await Promise.all(answers.map((answer) => answer.next()));
  if (ours.done !== cql.done || ours.done !== fhirpath.done) throw new Error(`not everybody answered for patient ${patient}`);
  if (ours.done) break;
  const { truths, facts } = read(ours.value);

  const verdicts = JSON.parse(cql.value);
  if (verdicts.error) {
    ++count.ended;
    console.error(`patient ${patient}: CQL ended: ${verdicts.error.replace(/\s+/g, " ")}`);
  }
  for (const [criterion, verdict] of verdicts.error ? [] : Object.entries(verdicts)) {
    const truth = truths.get(criterion);
    if (truth === undefined) throw new Error(`cd7match has no criterion ${criterion}`);
    criteria.add(criterion);
    if (truth === "unknown") ++count[verdict === null ? "neither" : "onlyTheirs"];
    else if (verdict === null) ++count.onlyOurs;
    else if (truth === String(verdict)) ++count.alike;
    else differ("differ", patient, criterion, truth, `CQL ${verdict}`);
  }

  const found = JSON.parse(fhirpath.value);
  for (const [fact, { source, value }] of facts) {
    if (source === undefined || found[fact]?.value === undefined) continue;
    if (found[fact].source === source && found[fact].value === value) ++count.lookUpsAlike;
    else differ("lookUpsDiffer", patient, fact, `${value} of ${source}`, `FHIRPath ${found[fact].value} of ${found[fact].source}`);
  }
}
console.log(criteria.size, ...Object.values(count));
if (count.differ + count.lookUpsDiffer > 0) process.exitCode = 1;
