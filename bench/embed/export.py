"""The published weights as ONNX: the graph in 32-bit floats, written by hand, and
its int8 form by ONNX Runtime's own dynamic quantisation, per channel.

No published ONNX file is used, for none comes from the package index that the
weights come from; the float graph is held against the model's known vector.
"""
import json
import struct
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

HEADS, EPSILON = 12, 1e-12


def read_safetensors(path):
    raw = path.read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    head = json.loads(raw[8:8 + length])
    return {name: np.frombuffer(raw, np.float32, count=int(np.prod(item["shape"])),
                                offset=8 + length + item["data_offsets"][0]).reshape(item["shape"])
            for name, item in head.items() if name != "__metadata__" and item["dtype"] == "F32"}


class Graph:
    def __init__(self, weights):
        self.weights, self.nodes, self.constants, self.count = weights, [], {}, 0

    def constant(self, value, name=None):
        name = name or f"c{len(self.constants)}"
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def node(self, kind, *inputs, **attributes):
        self.count += 1
        name = f"n{self.count}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def dense(self, x, name):
        weight = self.constant(self.weights[f"{name}.weight"].T, f"{name}.weight")
        bias = self.constant(self.weights[f"{name}.bias"], f"{name}.bias")
        return self.node("Add", self.node("MatMul", x, weight), bias)

    def norm(self, x, name):
        return self.node("LayerNormalization", x, self.constant(self.weights[f"{name}.weight"], f"{name}.weight"),
                         self.constant(self.weights[f"{name}.bias"], f"{name}.bias"), axis=-1, epsilon=EPSILON)

    def heads(self, x, hidden, order):
        shape = self.constant(np.array([0, HEADS, hidden // HEADS]), "heads")
        return self.node("Transpose", self.node("Reshape", x, shape), perm=order)

    def layer(self, x, at, hidden):
        name = f"encoder.layer.{at}"
        query = self.heads(self.dense(x, f"{name}.attention.self.query"), hidden, [1, 0, 2])
        key = self.heads(self.dense(x, f"{name}.attention.self.key"), hidden, [1, 2, 0])
        value = self.heads(self.dense(x, f"{name}.attention.self.value"), hidden, [1, 0, 2])
        scale = self.constant(np.float32((hidden // HEADS) ** -0.5), "scale")
        weights = self.node("Softmax", self.node("Mul", self.node("MatMul", query, key), scale), axis=-1)
        mixed = self.node("Transpose", self.node("MatMul", weights, value), perm=[1, 0, 2])
        mixed = self.node("Reshape", mixed, self.constant(np.array([0, hidden]), "flat"))
        x = self.norm(self.node("Add", x, self.dense(mixed, f"{name}.attention.output.dense")),
                      f"{name}.attention.output.LayerNorm")
        up = self.dense(x, f"{name}.intermediate.dense")
        inner = self.node("Gelu", up)
        return self.norm(self.node("Add", x, self.dense(inner, f"{name}.output.dense")), f"{name}.output.LayerNorm")


def export(weights, path):
    graph = Graph(weights)
    hidden = weights["embeddings.word_embeddings.weight"].shape[1]
    layers = 1 + max(int(name.split(".")[2]) for name in weights if name.startswith("encoder.layer."))
    positions = weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
    words = graph.node("Gather", graph.constant(weights["embeddings.word_embeddings.weight"], "words"), "ids")
    length = graph.node("Shape", "ids")
    first = graph.node("Slice", graph.constant(positions, "positions"), graph.constant(np.array([0]), "zero"), length,
                       graph.constant(np.array([0]), "rows"))
    x = graph.norm(graph.node("Add", words, first), "embeddings.LayerNorm")
    for at in range(layers):
        x = graph.layer(x, at, hidden)
    mean = graph.node("ReduceMean", x, graph.constant(np.array([0]), "axis"), keepdims=0)
    graph.nodes.append(helper.make_node("LpNormalization", [mean], ["vector"], axis=0, p=2))
    made = helper.make_graph(graph.nodes, "encoder", [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n"])],
                             [helper.make_tensor_value_info("vector", TensorProto.FLOAT, [hidden])],
                             list(graph.constants.values()))
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, path)


if __name__ == "__main__":
    source, folder = Path(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    export(read_safetensors(source / "model.safetensors"), folder / "float.onnx")
    quantize_dynamic(folder / "float.onnx", folder / "int8.onnx", per_channel=True, weight_type=QuantType.QInt8)
