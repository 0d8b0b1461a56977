// Evaluates Trials with cql-execution for NDJSON of one Bundle a line: node cql.mjs VOCABULARY AS-OF ELM-FOLDER FILE.
// Prints a line of JSON for each Bundle: the verdict of each criterion, or the error that ended it.
import { createReadStream, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import cql from "cql-execution";
import fhir from "cql-exec-fhir";

const [vocabularyFile, asOf, elmFolder, input] = process.argv.slice(2);

/** The value sets of the vocabulary, and of each fact those of its methods ("spo2:pulse oximetry"). */
function valueSets(vocabulary) {
  const codesOf = (bySystem) =>
    Object.entries(bySystem).flatMap(([system, codes]) =>
      (vocabulary.systems[system] ?? []).flatMap((url) => codes.map((code) => ({ code, system: url }))));
  const sets = {};
  for (const [name, roles] of Object.entries(vocabulary.valueSets)) {
    const accepted = Object.entries(roles.accept ?? {}).map(([system, codes]) => [system, Object.keys(codes)]);
    sets[`urn:cd7match:${name}`] = { 1: codesOf(Object.fromEntries(accepted)) };
  }
  for (const [name, fact] of Object.entries(vocabulary.facts)) {
    for (const [method, { loinc = [] }] of Object.entries(fact.methods ?? {})) {
      sets[`urn:cd7match:${name}:${method}`] = { 1: codesOf({ loinc }) };
    }
  }
  return sets;
}

const elm = (name) => JSON.parse(readFileSync(`${elmFolder}/${name}.json`, "utf8"));
const library = new cql.Library(
  elm("Trials"), new cql.Repository({ FHIRHelpers: elm("FHIRHelpers"), Results: elm("Results") }));
const vocabulary = JSON.parse(readFileSync(vocabularyFile, "utf8"));
const codes = new cql.CodeService(valueSets(vocabulary));
const executor = new cql.Executor(library, codes, { asOf: cql.Date.parse(asOf) });
const executionDateTime = cql.DateTime.parse(`${asOf}T00:00:00.0+00:00`);
const source = fhir.PatientSource.FHIRv401();

for await (const line of createInterface({ input: createReadStream(input) })) {
  let answer = {};
  try {
    source.reset();
    source.loadBundles([JSON.parse(line)]);
    const results = await executor.exec(source, executionDateTime);
    for (const [name, value] of Object.entries(Object.values(results.patientResults)[0])) {
      if (name.startsWith("NCT")) answer[name] = value;
    }
  } catch (error) {
    answer = { error: String(error.message ?? error) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
