// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "vmm/cli/doctor_probes.h"
#include "vmm/cli/output.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/verb_options.h"

namespace tintype {

using nlohmann::json;

namespace {

const char* health_name(Health health) {
  switch (health) {
    case Health::kGood:
      return "good";
    case Health::kLimited:
      return "limited";
    case Health::kMissing:
      return "missing";
  }
  return "unknown";
}

json diagnosis_json(const Diagnosis& diagnosis) {
  json findings = json::array(), strategies = json::array();
  for (const Finding& finding : diagnosis.findings) {
    findings.push_back({{"subject", finding.subject},
                        {"health", health_name(finding.health)},
                        {"found", finding.found},
                        {"remedy", finding.remedy}});
  }
  for (const StrategyFinding& strategy : diagnosis.strategies) {
    strategies.push_back({{"name", strategy.name}, {"possible", strategy.possible}, {"reason", strategy.reason}});
  }
  return {{"machine_can_run", diagnosis.machine_can_run},
          {"problem", diagnosis.main_problem},
          {"findings", findings},
          {"strategies", strategies}};
}

void print_diagnosis(const Diagnosis& diagnosis, Output& output) {
  for (const Finding& finding : diagnosis.findings) {
    output.line("{:<8} {:<36} {}", health_name(finding.health), finding.subject, finding.found);
    if (!finding.remedy.empty() && finding.health != Health::kGood)
      output.line("{:<8} {:<36} remedy: {}", "", "", finding.remedy);
  }
  for (const StrategyFinding& strategy : diagnosis.strategies) {
    output.line("{:<8} {:<36} {}", strategy.possible ? "good" : "no", "strategy " + strategy.name,
                strategy.possible ? "can run here" : strategy.reason);
  }
}

class DoctorVerb final : public Verb {
 public:
  void declare(VerbOptions& options) override {
    options.footer("Exits with 0 where a machine can run and be checkpointed (if only by `stop`), else with 1.");
  }

  int run(Output& output) override {
    const Diagnosis diagnosis = examine_host();
    print_diagnosis(diagnosis, output);
    output.result(diagnosis_json(diagnosis));
    if (diagnosis.machine_can_run) return 0;
    output.error(diagnosis.main_problem);
    return 1;
  }
};

}  // namespace

std::unique_ptr<Verb> make_doctor_verb() { return std::make_unique<DoctorVerb>(); }

}  // namespace tintype
