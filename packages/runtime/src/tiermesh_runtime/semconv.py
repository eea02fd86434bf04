"""Names of telemetry attributes and metrics, in one place because the conventions still move.

RPC names follow semantic-conventions 1.43, GenAI names the semantic-conventions-genai
repository. Not here: values, and who sets them.
"""

from typing import Final

# RPC
RPC_SYSTEM: Final = "rpc.system.name"
RPC_METHOD: Final = "rpc.method"
RPC_STATUS_CODE: Final = "rpc.response.status_code"
ERROR_TYPE: Final = "error.type"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
SERVER_CALL_DURATION: Final = "rpc.server.call.duration"
CLIENT_CALL_DURATION: Final = "rpc.client.call.duration"
GRPC: Final = "grpc"

# GenAI: spans "chat {model}" (CLIENT) and "execute_tool {tool}" (INTERNAL)
GEN_AI_OPERATION: Final = "gen_ai.operation.name"
GEN_AI_PROVIDER: Final = "gen_ai.provider.name"
GEN_AI_REQUEST_MODEL: Final = "gen_ai.request.model"
GEN_AI_REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
GEN_AI_REQUEST_STREAM: Final = "gen_ai.request.stream"
GEN_AI_RESPONSE_ID: Final = "gen_ai.response.id"
GEN_AI_RESPONSE_MODEL: Final = "gen_ai.response.model"
GEN_AI_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
GEN_AI_TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
GEN_AI_OUTPUT_TYPE: Final = "gen_ai.output.type"
GEN_AI_CONVERSATION: Final = "gen_ai.conversation.id"
# Includes cached tokens, unlike the provider's own figure.
GEN_AI_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
GEN_AI_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
GEN_AI_CACHE_READ_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
GEN_AI_CACHE_WRITE_TOKENS: Final = "gen_ai.usage.cache_write.input_tokens"
# The older name; backends that know only one double-count otherwise.
GEN_AI_CACHE_CREATION_TOKENS: Final = "gen_ai.usage.cache_creation.input_tokens"
GEN_AI_TOOL_NAME: Final = "gen_ai.tool.name"
GEN_AI_TOOL_CALL_ID: Final = "gen_ai.tool.call.id"
GEN_AI_TOOL_TYPE: Final = "gen_ai.tool.type"
GEN_AI_INFERENCE_DURATION: Final = "gen_ai.client.inference.duration"
GEN_AI_TIME_TO_FIRST_CHUNK_METRIC: Final = "gen_ai.client.inference.time_to_first_chunk"

# Database
DB_SYSTEM: Final = "db.system.name"
DB_OPERATION: Final = "db.operation.name"
DB_QUERY_SUMMARY: Final = "db.query.summary"
DB_RETURNED_ROWS: Final = "db.response.returned_rows"

# Ours
REQUEST_ID: Final = "tiermesh.request_id"
TENANT: Final = "tiermesh.tenant"
REASON: Final = "tiermesh.reason"
IN_FLIGHT: Final = "tiermesh.server.in_flight"
