// A program with the OpenTelemetry SDK for JavaScript: the twin of sdk.py, in what it takes and what it says.
//
//     node sdk.cjs grpc|json|protobuf ENDPOINT SERVICE SPANS_PER_SECOND
//
// The gRPC exporter sends nothing twice, so a batch may be lost; each batch has a span name of its own there,
// by which it can be told whether it was counted as a whole.
'use strict';

const { resourceFromAttributes } = require('@opentelemetry/resources');
const { BatchSpanProcessor, NodeTracerProvider } = require('@opentelemetry/sdk-trace-node');
const { SpanKind, SpanStatusCode } = require('@opentelemetry/api');
const { once, EventEmitter } = require('node:events');
const { setTimeout: sleep } = require('node:timers/promises');

const EXPORTERS = {
  grpc: '@opentelemetry/exporter-trace-otlp-grpc',
  json: '@opentelemetry/exporter-trace-otlp-http',
  protobuf: '@opentelemetry/exporter-trace-otlp-proto',
};
const GROUPS = 60;
const TICK_MS = { grpc: 50, json: 20, protobuf: 20 };
const QUEUED_AT_MOST = 1500; // the processor drops what is beyond 2048
const NANOS = 1_000_000_000n;

const [protocol, endpoint, service, rate] = process.argv.slice(2);

function say(line) {
  process.stdout.write(JSON.stringify(line) + '\n');
}

// Passes on, and writes down what was passed on and how it ended.
class Watched extends EventEmitter {
  constructor(exporter) {
    super();
    this.exporter = exporter;
    this.taken = 0;
    this.batches = 0;
  }

  export(spans, done) {
    const batch = ++this.batches;
    say({ batch, spans: spans.map(written) });
    this.taken += spans.length;
    this.emit('taken');
    this.exporter.export(spans, (result) => {
      say({ batch, acked: result.code === 0 });
      if (result.error) console.error(`batch ${batch}: ${result.error.message}`);
      done(result);
    });
  }

  shutdown() {
    return this.exporter.shutdown();
  }

  forceFlush() {
    return this.exporter.forceFlush();
  }
}

const nanos = ([seconds, rest]) => BigInt(seconds) * NANOS + BigInt(rest);
const hrtime = (ns) => [Number(ns / NANOS), Number(ns % NANOS)];

function written(span) {
  const end = nanos(span.endTime);
  return [span.name, span.status.code, String(end), String(end - nanos(span.startTime))];
}

function oneSpan(tracer, number, name, kind) {
  const end = BigInt(Date.now()) * 1_000_000n + BigInt(Math.floor(Math.random() * 1e6));
  const duration = BigInt(Math.floor(10 ** (2 + Math.random() * 8.4))); // 100 ns to 25 s
  const span = tracer.startSpan(name, {
    kind,
    startTime: hrtime(end - duration),
    attributes: {
      'http.route': `/${name}`, user: `user-${Math.floor(Math.random() * 1e6)}`, number,
      share: Math.random(), cached: number % 2 === 0,
    },
  });
  if (Math.random() < 0.1) span.setStatus({ code: SpanStatusCode.ERROR, message: 'so it was drawn' });
  span.end(hrtime(end));
}

async function main() {
  const { OTLPTraceExporter } = require(EXPORTERS[protocol]);
  const watched = new Watched(new OTLPTraceExporter({ url: endpoint }));
  const processor = new BatchSpanProcessor(watched);
  const provider = new NodeTracerProvider({
    resource: resourceFromAttributes({ 'service.name': service }),
    spanProcessors: [processor],
  });
  const tracer = provider.getTracer('clients');
  let stopping = false;
  process.stdin.on('end', () => { stopping = true; }).resume();

  let ended = 0;
  let began = performance.now();
  while (!stopping) {
    await sleep(TICK_MS[protocol]);
    while (ended - watched.taken >= QUEUED_AT_MOST) await once(watched, 'taken');
    const behind = Math.floor((performance.now() - began) * rate / 1000) - ended;
    began += Math.max(0, behind - 200) * 1000 / rate; // what an outage kept back is not made up for
    for (let i = 0; i < Math.min(behind, 200); i++) {
      const group = protocol === 'grpc' ? 1 : Math.floor(Math.random() * GROUPS);
      const name = protocol === 'grpc' ? `batch-${watched.batches + 1}` : `op-${group}`;
      oneSpan(tracer, ended++, name, group % 3 ? SpanKind.SERVER : SpanKind.CLIENT);
    }
    if (protocol === 'grpc') await processor.forceFlush().catch(() => {}); // told by the exporter's own result
  }
  await processor.forceFlush().catch(() => {});
  await provider.shutdown();
  say({ ended });
}

main();
