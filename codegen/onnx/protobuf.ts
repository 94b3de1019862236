/** The messages of onnx.proto that a model needs, written and read by their field numbers. */

import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { DType } from "../ir/types.ts";

/** TensorProto.DataType. */
export const elementTypes = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
} as const satisfies Record<
  DType,
  number
>;

/** AttributeProto, the kinds in use. */
export type AttributeProto =
  | { readonly kind: "int"; readonly value: number }
  | { readonly kind: "ints"; readonly value: readonly number[] }
  | { readonly kind: "float"; readonly value: number }
  | { readonly kind: "string"; readonly value: string };

/** NodeProto. */
export interface NodeProto {
  readonly name: string;
  readonly opType: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, AttributeProto>>;
}

/** Where a tensor's data lies in a file beside the model: bytes. */
export interface ExternalData {
  readonly location: string;
  readonly offset: number;
  readonly length: number;
}

/** Data inside the model that somebody else writes there: how many bytes. See {@linkcode writeModelPieces}. */
export interface DeferredData {
  readonly deferred: number;
}

/** TensorProto, with its data in it or beside the model. */
export interface TensorProto {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: Uint8Array | ExternalData | DeferredData;
}

/** ValueInfoProto of a tensor; strings are symbolic dimensions. */
export interface ValueInfoProto {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly (number | string)[];
}

/** GraphProto. */
export interface GraphProto {
  readonly name: string;
  readonly nodes: readonly NodeProto[];
  readonly initializers: readonly TensorProto[];
  readonly inputs: readonly ValueInfoProto[];
  readonly outputs: readonly ValueInfoProto[];
}

/** ModelProto with one operator set, ONNX's own. */
export interface ModelProto {
  readonly irVersion: number;
  readonly opset: number;
  readonly producer: string;
  readonly graph: GraphProto;
}

/** Field numbers of onnx.proto. */
const model = { irVersion: 1, producerName: 2, graph: 7, opsetImport: 8 } as const;
const operatorSet = { domain: 1, version: 2 } as const;
const graph = { node: 1, name: 2, initializer: 5, input: 11, output: 12 } as const;
const node = { input: 1, output: 2, name: 3, opType: 4, attribute: 5 } as const;
const attribute = { name: 1, f: 2, i: 3, s: 4, ints: 8, type: 20 } as const;
const tensor = { dims: 1, dataType: 2, name: 8, rawData: 9, externalData: 13, dataLocation: 14 } as const;
const entry = { key: 1, value: 2 } as const;
const valueInfo = { name: 1, type: 2 } as const;
const type = { tensor: 1, elementType: 1, shape: 2, dim: 1, dimValue: 1, dimParam: 2 } as const;
/** AttributeProto.AttributeType. */
const attributeTypes = { float: 1, int: 2, string: 3, ints: 7 } as const;
/** TensorProto.DataLocation.EXTERNAL. */
const external = 1;

const text = (w: BinaryWriter, field: number, value: string) => w.tag(field, WireType.LengthDelimited).string(value);
const whole = (w: BinaryWriter, field: number, value: number) => w.tag(field, WireType.Varint).int64(value);

function message(w: BinaryWriter, field: number, body: () => void): void {
  w.tag(field, WireType.LengthDelimited).fork();
  body();
  w.join();
}

function writeAttribute(w: BinaryWriter, name: string, value: AttributeProto): void {
  text(w, attribute.name, name);
  if (value.kind === "float") w.tag(attribute.f, WireType.Bit32).float(value.value);
  else if (value.kind === "int") whole(w, attribute.i, value.value);
  else if (value.kind === "string") text(w, attribute.s, value.value);
  else for (const x of value.value) whole(w, attribute.ints, x);
  whole(w, attribute.type, attributeTypes[value.kind]);
}

function writeNode(w: BinaryWriter, { name, opType, inputs, outputs, attributes }: NodeProto): void {
  for (const input of inputs) text(w, node.input, input);
  for (const output of outputs) text(w, node.output, output);
  text(w, node.name, name);
  text(w, node.opType, opType);
  for (const key in attributes) message(w, node.attribute, () => writeAttribute(w, key, attributes[key]));
}

function writeTensor(w: BinaryWriter, { name, dtype, shape, data }: TensorProto): void {
  for (const dim of shape) whole(w, tensor.dims, dim);
  whole(w, tensor.dataType, elementTypes[dtype]);
  text(w, tensor.name, name);
  if (data instanceof Uint8Array) {
    w.tag(tensor.rawData, WireType.LengthDelimited).bytes(data);
    return;
  }
  if ("deferred" in data) {
    w.tag(tensor.rawData, WireType.LengthDelimited).uint32(data.deferred); // the length; the bytes come from elsewhere
    return;
  }
  for (const key of ["location", "offset", "length"] as const) {
    message(w, tensor.externalData, () => text(text(w, entry.key, key), entry.value, String(data[key])));
  }
  whole(w, tensor.dataLocation, external);
}

function writeValueInfo(w: BinaryWriter, { name, dtype, shape }: ValueInfoProto): void {
  text(w, valueInfo.name, name);
  message(w, valueInfo.type, () =>
    message(w, type.tensor, () => {
      whole(w, type.elementType, elementTypes[dtype]);
      message(w, type.shape, () => {
        for (const dim of shape) {
          message(w, type.dim, () => void (typeof dim === "number" ? whole(w, type.dimValue, dim) : text(w, type.dimParam, dim)));
        }
      });
    }));
}

function writeHeader(w: BinaryWriter, { irVersion, producer }: ModelProto): void {
  whole(w, model.irVersion, irVersion);
  text(w, model.producerName, producer);
}

function writeGraph(w: BinaryWriter, body: GraphProto): void {
  for (const value of body.nodes) message(w, graph.node, () => writeNode(w, value));
  text(w, graph.name, body.name);
  for (const value of body.initializers) message(w, graph.initializer, () => writeTensor(w, value));
  for (const value of body.inputs) message(w, graph.input, () => writeValueInfo(w, value));
  for (const value of body.outputs) message(w, graph.output, () => writeValueInfo(w, value));
}

function writeOperatorSet(w: BinaryWriter, { opset }: ModelProto): void {
  message(w, model.opsetImport, () => whole(text(w, operatorSet.domain, ""), operatorSet.version, opset));
}

/** The bytes of a model, which has no deferred data. */
export function writeModel(proto: ModelProto): Uint8Array<ArrayBuffer> {
  const w = new BinaryWriter();
  writeHeader(w, proto);
  message(w, model.graph, () => writeGraph(w, proto.graph));
  writeOperatorSet(w, proto);
  return w.finish();
}

/** A piece of a model: bytes, or the tensor whose data stands there. */
export type ModelPiece = Uint8Array<ArrayBuffer> | TensorProto;

/** A model's bytes in order, the deferred tensors' data left to the caller: what is larger than memory likes is never there at once. */
export function writeModelPieces(proto: ModelProto): ModelPiece[] {
  const isDeferred = ({ data }: TensorProto) => !(data instanceof Uint8Array) && "deferred" in data;
  const made = (write: (w: BinaryWriter) => void): Uint8Array<ArrayBuffer> => {
    const w = new BinaryWriter();
    write(w);
    return w.finish();
  };
  const body = made((w) => writeGraph(w, { ...proto.graph, initializers: proto.graph.initializers.filter((one) => !isDeferred(one)) }));
  let length = body.length;
  const tensors = proto.graph.initializers.filter(isDeferred).map((one) => {
    const inside = made((w) => writeTensor(w, one));
    const data = (one.data as DeferredData).deferred;
    const lead = made((w) => w.tag(graph.initializer, WireType.LengthDelimited).uint32(inside.length + data).raw(inside));
    length += lead.length + data;
    return { lead, one };
  });
  return [
    made((w) => {
      writeHeader(w, proto);
      w.tag(model.graph, WireType.LengthDelimited).uint32(length).raw(body);
    }),
    ...tensors.flatMap(({ lead, one }) => [lead, one]),
    made((w) => writeOperatorSet(w, proto)),
  ];
}

/** A message's fields, as they come: a number, or bytes. */
type Fields = Map<number, (number | Uint8Array)[]>;

function readFields(bytes: Uint8Array): Fields {
  const reader = new BinaryReader(bytes);
  const fields: Fields = new Map();
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag();
    const list = fields.get(field) ?? [];
    fields.set(field, list);
    if (wire === WireType.Varint) list.push(Number(reader.int64()));
    else if (wire === WireType.Bit32) list.push(reader.float());
    else if (wire === WireType.LengthDelimited) list.push(reader.bytes());
    else reader.skip(wire, field);
  }
  return fields;
}

const decoder = new TextDecoder();
const numbers = (fields: Fields, field: number) => (fields.get(field) ?? []).filter((x): x is number => typeof x === "number");
const chunks = (fields: Fields, field: number) => (fields.get(field) ?? []).filter((x): x is Uint8Array => typeof x !== "number");
const messages = (fields: Fields, field: number) => chunks(fields, field).map(readFields);
const strings = (fields: Fields, field: number) => chunks(fields, field).map((bytes) => decoder.decode(bytes));
const string = (fields: Fields, field: number) => strings(fields, field)[0] ?? "";

function dtypeOf(code: number): DType {
  const found = (Object.keys(elementTypes) as DType[]).find((dtype) => elementTypes[dtype] === code);
  if (!found) throw new RangeError(`ONNX element type ${code} is none that is written here`);
  return found;
}

function readAttribute(fields: Fields): AttributeProto {
  const [code] = numbers(fields, attribute.type);
  if (code === attributeTypes.float) return { kind: "float", value: numbers(fields, attribute.f)[0] };
  if (code === attributeTypes.int) return { kind: "int", value: numbers(fields, attribute.i)[0] };
  if (code === attributeTypes.ints) return { kind: "ints", value: numbers(fields, attribute.ints) };
  return { kind: "string", value: string(fields, attribute.s) };
}

function readTensor(fields: Fields): TensorProto {
  const beside = Object.fromEntries(
    messages(fields, tensor.externalData).map((pair) => [string(pair, entry.key), string(pair, entry.value)]),
  );
  return {
    name: string(fields, tensor.name),
    dtype: dtypeOf(numbers(fields, tensor.dataType)[0]),
    shape: numbers(fields, tensor.dims),
    data: numbers(fields, tensor.dataLocation)[0] === external
      ? { location: beside.location, offset: Number(beside.offset), length: Number(beside.length) }
      : chunks(fields, tensor.rawData)[0],
  };
}

function readValueInfo(fields: Fields): ValueInfoProto {
  const [info] = messages(messages(fields, valueInfo.type)[0], type.tensor);
  const [shape] = messages(info, type.shape);
  return {
    name: string(fields, valueInfo.name),
    dtype: dtypeOf(numbers(info, type.elementType)[0]),
    shape: messages(shape, type.dim).map((dim) => numbers(dim, type.dimValue)[0] ?? string(dim, type.dimParam)),
  };
}

function readNode(fields: Fields): NodeProto {
  return {
    name: string(fields, node.name),
    opType: string(fields, node.opType),
    inputs: strings(fields, node.input),
    outputs: strings(fields, node.output),
    attributes: Object.fromEntries(messages(fields, node.attribute).map((value) => [string(value, attribute.name), readAttribute(value)])),
  };
}

/** Reads what {@linkcode writeModel} writes. */
export function readModel(bytes: Uint8Array): ModelProto {
  const fields = readFields(bytes);
  const [body] = messages(fields, model.graph);
  return {
    irVersion: numbers(fields, model.irVersion)[0],
    opset: numbers(messages(fields, model.opsetImport)[0], operatorSet.version)[0],
    producer: string(fields, model.producerName),
    graph: {
      name: string(body, graph.name),
      nodes: messages(body, graph.node).map(readNode),
      initializers: messages(body, graph.initializer).map(readTensor),
      inputs: messages(body, graph.input).map(readValueInfo),
      outputs: messages(body, graph.output).map(readValueInfo),
    },
  };
}
