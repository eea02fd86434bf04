// Reads a JSON list of objects from stdin and holds the custom resources among them against their schemas.
// Prints {"checked": n, "problems": ["kind name: what"]}.
import { ScaledObject } from "@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject";
import { PrometheusRule } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule";

const known = { ScaledObject, PrometheusRule };
let text = "";
for await (const chunk of process.stdin) text += chunk;
const found = JSON.parse(text).filter((each) => each.kind in known);
const problems = found.flatMap((each) => {
  try {
    new known[each.kind](each).validate();
    return [];
  } catch (error) {
    return [`${each.kind} ${each.metadata.name}: ${error.message}`];
  }
});
console.log(JSON.stringify({ checked: found.length, problems }));
