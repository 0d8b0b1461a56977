// Looks up with fhirpath.js what the numeric criteria ask for: node fhirpath.mjs VOCABULARY AS-OF FILE, NDJSON of one Bundle a
// line. Prints a line of JSON for each Bundle: for each fact the newest fresh result, its value, unit and upper limit.
// FHIRPath has no order by date and no arithmetic of days: both are done here.
import { createReadStream, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import fhirpath from "fhirpath";
import r4 from "fhirpath/fhir-context/r4/index.js";

const [vocabularyFile, asOf, input] = process.argv.slice(2);
const vocabulary = JSON.parse(readFileSync(vocabularyFile, "utf8"));

const look = (expression) => fhirpath.compile(expression, r4);
const birthDate = look("entry.resource.ofType(Patient).birthDate");
const gender = look("entry.resource.ofType(Patient).gender");
const observations = look(
  "entry.resource.ofType(Observation).where(status = 'final' or status = 'amended' or status = 'corrected')");
const value = look("value.ofType(Quantity).where(comparator.empty()).value | value.ofType(integer)");
const unit = look("value.ofType(Quantity).select(iif(code.exists(), code, unit))");
const upperLimit = look(
  "referenceRange.where((type.empty() or type.coding.where(code = 'normal').exists()) and appliesTo.empty()).high.value.first()");
const taken = look("iif(effective.exists(), iif(effective is Period, effective.end, effective), issued)");

const facts = [
  "alt", "aptt", "ast", "bodyWeight", "boneMarrowBlasts", "creatinine", "creatinineClearance", "directBilirubin", "ecog",
  "hemoglobin", "inr", "karnofsky", "lvef", "peripheralBlasts", "qtc", "spo2", "totalBilirubin",
].map((name) => {
  const { concepts, freshFor } = vocabulary.facts[name];
  const codes = Object.keys(concepts).flatMap((set) => Object.keys(vocabulary.valueSets[set].accept?.loinc ?? {}));
  const oldest = new Date(Date.parse(asOf) - parseInt(freshFor) * 86400000).toISOString().slice(0, 10);
  const named = `(${codes.map((code) => `'${code}'`).join(" | ")})`;
  return { name, oldest, results: look(`where(code.coding.where(system = 'http://loinc.org' and code in ${named}).exists())`) };
});

for await (const line of createInterface({ input: createReadStream(input) })) {
  const bundle = JSON.parse(line);
  const answer = { birthDate: birthDate(bundle)[0], gender: gender(bundle)[0] };
  const all = observations(bundle);
  for (const { name, oldest, results } of facts) {
    let newest = null;
    let newestTaken = -Infinity;
    for (const result of all.length > 0 ? results(all) : []) {
      const when = String(taken(result)[0] ?? "");
      if (when.slice(0, 10) > asOf || when.slice(0, 10) < oldest || !(Date.parse(when) > newestTaken)) continue;
      newest = result;
      newestTaken = Date.parse(when);
    }
    if (newest === null) continue;
    answer[name] = {
      source: `Observation/${newest.id}`, value: value(newest)[0], unit: unit(newest)[0], upperLimit: upperLimit(newest)[0],
    };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
