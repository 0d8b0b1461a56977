#pragma once

#include <string>
#include <vector>

#include "cds-hooks/fhir_server.h"
#include "cds-hooks/knowledge.h"

namespace cds_hooks {

/// Which patients of a server are screened: exactly one of these.
struct Cohort {
    std::vector<std::string> patients;  ///< logical ids
    std::string group;                  ///< id of a Group
    std::string list;                   ///< id of a List
    bool disease = false;               ///< everybody with a diagnosis that a trial's disease gate knows, by its codes
    bool diseaseScan = false;           ///< the same by reading every Condition of the server
};

/// The codes of diagnoses by which patients of the trials' disease gates are found, each once: those of the vocabulary,
/// and of a whole ICD-10 category each code that there may be in it, with and without its dot.
std::vector<std::string> diseaseCodes(const Knowledge& knowledge);

/// Who is screened.
struct Patients {
    std::vector<std::string> ids;
    std::size_t unresolved =
        0;  ///< named in a way that leads to no Patient of this server: by an identifier, elsewhere
};

/// The ids of the patients, each once: in the order in which they were named or stand in the Group or List, and by id
/// when they were found by their diagnosis.
///
/// Inactive members of a Group and deleted entries of a List are no patients of it. Errors: fhir::Error when the list
/// cannot be read to its end, or names nobody: a screening that silently misses patients is wrong.
Patients readCohort(const FhirServer& server, const Knowledge& knowledge, const Cohort& cohort);

}  // namespace cds_hooks
