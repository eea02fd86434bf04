"""The floor: services on bare grpc.aio that pass the suite's own messages over the suite's own hops, and do nothing.

No identity, no decision, no tracing, no checks, no data, no model, no records: each service answers at once with what
the suite was recorded to say, chunk by chunk. `python -m bench.chain.floor ROLE PORTS RECORDING LOOP` serves one role.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import proto
from tiermesh.aggregator.v1 import aggregator_service_pb2, aggregator_service_pb2_grpc
from tiermesh.classifier.v1 import classifier_service_pb2, classifier_service_pb2_grpc
from tiermesh.common.v1.answer_pb2 import TextChunk
from tiermesh.executor.v1 import executor_service_pb2, executor_service_pb2_grpc
from tiermesh.gateway.v1 import gateway_service_pb2, gateway_service_pb2_grpc
from tiermesh.suggester.v1 import suggester_service_pb2, suggester_service_pb2_grpc
from tiermesh.tools.v1 import tools_service_pb2, tools_service_pb2_grpc

from bench.chain.shape import Shape

ROLES = ("classifier", "aggregator", "executor-tier1", "executor-tier2", "suggester", "gateway")
_PILL_TEXT = '{"pills": [' + ", ".join(['"compare: How many days did my team take?"'] * 6) + "]}"
Recording = Mapping[str, "Recorded"]


class Recorded:
    """What the suite said to one question of each kind, with pills."""

    def __init__(self, path: Path) -> None:
        self.events: list[gateway_service_pb2.AskResponse] = []
        with path.open("rb") as stream:
            while (event := proto.parse_length_prefixed(gateway_service_pb2.AskResponse, stream)) is not None:
                self.events.append(event)
        self.text = "".join(event.text.text for event in self.events if event.WhichOneof("event") == "text")

    def first(self, field: str) -> Any:
        """The first event of a kind, None when there is none."""
        return next((getattr(each, field) for each in self.events if each.WhichOneof("event") == field), None)

    def all(self, field: str) -> list[Any]:
        """All events of a kind."""
        return [getattr(each, field) for each in self.events if each.WhichOneof("event") == field]


async def chunks(text: str, shape: Shape) -> AsyncIterator[TextChunk]:
    """The text in the shape's pieces, with its pauses."""
    count = shape.chunks
    for number in range(count):
        if shape.pause_ms and number:
            await asyncio.sleep(shape.pause_ms / 1000)
        yield TextChunk(text=text[number * len(text) // count : (number + 1) * len(text) // count])


class Classifier(classifier_service_pb2_grpc.ClassifierServiceServicer):
    """Gives the recorded scores."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    async def Classify(self, request: Any, _context: Any) -> Any:
        recorded = self._recording[Shape.of(request.text).kind]
        return classifier_service_pb2.ClassifyResponse(scores=recorded.first("decision").decision.scores)

    async def ClassifyBatch(self, request: Any, _context: Any) -> Any:
        scores = self._recording[Shape.of(request.items[0].text).kind].first("decision").decision.scores
        return classifier_service_pb2.ClassifyBatchResponse(scores=[scores] * len(request.items))


class Aggregator(aggregator_service_pb2_grpc.AggregatorServiceServicer, tools_service_pb2_grpc.ToolsServiceServicer):
    """Gives the recorded rows."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    async def Aggregate(self, _request: Any, _context: Any) -> Any:
        return aggregator_service_pb2.AggregateResponse(table=self._recording["aggregate"].first("table"))

    async def CallTool(self, _request: Any, _context: Any) -> Any:
        return tools_service_pb2.CallToolResponse(table=self._recording["look-up"].first("table"))


class Executor(executor_service_pb2_grpc.ExecutorServiceServicer):
    """Streams the recorded answer in chunks."""

    def __init__(self, recording: Recording, channels: Mapping[str, grpc.aio.Channel]) -> None:
        self._recording = recording
        self._data = aggregator_service_pb2_grpc.AggregatorServiceStub(channels["aggregator"])
        self._tools = tools_service_pb2_grpc.ToolsServiceStub(channels["aggregator"])

    async def Execute(self, request: Any, _context: Any) -> AsyncIterator[Any]:
        shape = Shape.of(request.question)
        recorded = self._recording[shape.kind]
        say = executor_service_pb2.ExecuteResponse
        for activity in recorded.all("tool")[:1]:
            yield say(tool=activity)
        if shape.kind == "aggregate":
            yield say(table=(await self._data.Aggregate(aggregator_service_pb2.AggregateRequest())).table)
        elif shape.kind == "look-up":
            yield say(table=(await self._tools.CallTool(tools_service_pb2.CallToolRequest())).table)
        for activity in recorded.all("tool")[1:]:
            yield say(tool=activity)
        async for chunk in chunks(recorded.text, shape):
            yield say(text=chunk)
        yield say(done=executor_service_pb2.ExecuteDone(answer=recorded.first("answer_done")))

    async def Generate(self, request: Any, _context: Any) -> AsyncIterator[Any]:
        async for chunk in chunks(_PILL_TEXT, Shape.of(request.messages[0].text)):
            yield executor_service_pb2.GenerateResponse(text=chunk)
        yield executor_service_pb2.GenerateResponse(done=executor_service_pb2.GenerateDone())


class Suggester(suggester_service_pb2_grpc.SuggesterServiceServicer):
    """One model call, one classification of its candidates, the recorded pills."""

    def __init__(self, recording: Recording, channels: Mapping[str, grpc.aio.Channel]) -> None:
        self._recording = recording
        self._executor = executor_service_pb2_grpc.ExecutorServiceStub(channels["executor-tier2"])
        self._classifier = classifier_service_pb2_grpc.ClassifierServiceStub(channels["classifier"])

    async def Suggest(self, requests: AsyncIterator[Any], _context: Any) -> AsyncIterator[Any]:
        question = (await anext(aiter(requests))).begin.question
        reading = asyncio.create_task(_read(requests))
        message = executor_service_pb2.GenerateRequest.Message(role=1, text=question)
        async for _ in self._executor.Generate(executor_service_pb2.GenerateRequest(messages=[message])):
            pass
        items = [classifier_service_pb2.ClassifyBatchRequest.Item(text=question)] * 6
        await self._classifier.ClassifyBatch(classifier_service_pb2.ClassifyBatchRequest(items=items))
        for pill in self._recording[Shape.of(question).kind].all("pill"):
            yield suggester_service_pb2.SuggestResponse(pill=pill)
        await reading
        yield suggester_service_pb2.SuggestResponse(done=suggester_service_pb2.SuggestDone())


async def _read(requests: AsyncIterator[Any]) -> None:
    async for _ in requests:
        pass


class Gateway(gateway_service_pb2_grpc.GatewayServiceServicer):
    """Classify, then the answer and the pills into one stream."""

    def __init__(self, recording: Recording, channels: Mapping[str, grpc.aio.Channel]) -> None:
        self._recording = recording
        self._classifier = classifier_service_pb2_grpc.ClassifierServiceStub(channels["classifier"])
        self._executor = executor_service_pb2_grpc.ExecutorServiceStub(channels["executor-tier1"])
        self._suggester = suggester_service_pb2_grpc.SuggesterServiceStub(channels["suggester"])

    async def Ask(self, request: Any, _context: Any) -> AsyncIterator[Any]:
        shape = Shape.of(request.text)
        recorded = self._recording[shape.kind]
        say, sequence = gateway_service_pb2.AskResponse, 1
        scores = (await self._classifier.Classify(classifier_service_pb2.ClassifyRequest(text=request.text))).scores
        yield say(sequence=1, decision=recorded.first("decision"))
        pills = _Pills(self._suggester, request.text) if shape.pills else None
        answer = self._executor.Execute(executor_service_pb2.ExecuteRequest(question=request.text, scores=scores))
        async for event in answer:
            kind = event.WhichOneof("event")
            sequence += 1
            if kind == "done":
                yield say(sequence=sequence, answer_done=event.done.answer)
                break
            yield say(sequence=sequence, **{kind: getattr(event, kind)})
            if pills is not None:
                for pill in pills.told(event):
                    sequence += 1
                    yield say(sequence=sequence, pill=pill)
        if pills is not None:
            for pill in await pills.rest():
                sequence += 1
                yield say(sequence=sequence, pill=pill)
        yield say(sequence=sequence + 1, receipt=recorded.first("receipt"))


class _Pills:
    """The pill track of one question."""

    def __init__(self, suggester: Any, question: str) -> None:
        self._telling: asyncio.Queue[Any] = asyncio.Queue()
        self._ready: list[Any] = []
        begin = suggester_service_pb2.SuggestBegin(question=question)
        self._telling.put_nowait(suggester_service_pb2.SuggestRequest(begin=begin))
        self._call = suggester.Suggest(self._requests())
        self._task = asyncio.create_task(self._take())

    def told(self, event: Any) -> list[Any]:
        """Tell the suggester what the answer brings; return the pills that are there."""
        if event.WhichOneof("event") == "text":
            self._telling.put_nowait(suggester_service_pb2.SuggestRequest(answer_text=event.text.text))
        ready, self._ready = self._ready, []
        return ready

    async def rest(self) -> list[Any]:
        """The answer is done: wait for what is missing."""
        self._telling.put_nowait(None)
        await self._task
        return self._ready

    async def _requests(self) -> AsyncIterator[Any]:
        while (each := await self._telling.get()) is not None:
            yield each

    async def _take(self) -> None:
        async for response in self._call:
            if response.HasField("pill"):
                self._ready.append(response.pill)


async def serve(role: str, ports: Mapping[str, int], folder: Path) -> None:
    """Serve one role until SIGTERM."""
    recording = {path.stem: Recorded(path) for path in folder.glob("*.stream")}  # noqa: ASYNC240 - before anything is served
    channels = {name: grpc.aio.insecure_channel(f"127.0.0.1:{port}") for name, port in ports.items()}
    server = grpc.aio.server()
    match role:
        case "classifier":
            classifier_service_pb2_grpc.add_ClassifierServiceServicer_to_server(Classifier(recording), server)
        case "aggregator":
            data = Aggregator(recording)
            aggregator_service_pb2_grpc.add_AggregatorServiceServicer_to_server(data, server)
            tools_service_pb2_grpc.add_ToolsServiceServicer_to_server(data, server)
        case "suggester":
            suggester_service_pb2_grpc.add_SuggesterServiceServicer_to_server(Suggester(recording, channels), server)
        case "gateway":
            gateway_service_pb2_grpc.add_GatewayServiceServicer_to_server(Gateway(recording, channels), server)
        case _:
            executor_service_pb2_grpc.add_ExecutorServiceServicer_to_server(Executor(recording, channels), server)
    server.add_insecure_port(f"127.0.0.1:{ports[role]}")
    await server.start()
    print("ready", flush=True)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()
    await server.stop(0)


def main() -> None:
    """ROLE PORTS RECORDING LOOP."""
    role, ports, folder, loop = sys.argv[1:]
    work = serve(role, json.loads(ports), Path(folder))
    with contextlib.suppress(KeyboardInterrupt):
        if loop == "uvloop":
            import uvloop

            uvloop.run(work)
        else:
            asyncio.run(work)


if __name__ == "__main__":
    main()
