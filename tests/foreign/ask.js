// A client made from the protos by another toolchain: asks one question and prints each event's kind as JSON.
// usage: node ask.js <protos folder> <host:port> <token> <question>
const path = require("path");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const [protos, address, token, text] = process.argv.slice(2);
const definition = loader.loadSync(path.join(protos, "tiermesh/gateway/v1/gateway_service.proto"), {
  includeDirs: [protos],
  keepCase: true,
  enums: String,
  oneofs: true,
});
const { GatewayService } = grpc.loadPackageDefinition(definition).tiermesh.gateway.v1;
const client = new GatewayService(address, grpc.credentials.createInsecure());
const metadata = new grpc.Metadata();
metadata.set("authorization", `Bearer ${token}`);
const call = client.Ask({ text }, metadata, { deadline: Date.now() + 60000 });
call.on("data", (event) => console.log(JSON.stringify({ sequence: Number(event.sequence), event: event.event, route: event.decision?.decision?.route })));
call.on("error", (error) => {
  console.log(JSON.stringify({ error: error.code, details: error.metadata.get("grpc-status-details-bin").length }));
  process.exit(1);
});
call.on("end", () => client.close());
