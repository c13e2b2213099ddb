// SPDX-License-Identifier: MIT
//
// The messages of a file, a line each, as @mcap/core reads them. other_reader.mjs indexed|streamed FILE
import { McapIndexedReader, McapStreamReader } from "@mcap/core";
import * as fzstd from "fzstd";
import lz4 from "lz4js";
import { readFileSync } from "node:fs";

const [how, path] = process.argv.slice(2);
const file = readFileSync(path);
const decompressHandlers = {
    lz4: (packed) => lz4.decompress(packed),
    zstd: (packed) => fzstd.decompress(packed),
};
const topics = new Map();

function tell(message) {
    const text = new TextDecoder().decode(message.data);
    const topic = topics.get(message.channelId);
    console.log(`${topic} ${message.sequence} ${message.logTime} ${text}`);
}

if (how === "indexed") {
    const readable = {
        size: async () => BigInt(file.length),
        read: async (offset, size) =>
            new Uint8Array(file.subarray(Number(offset), Number(offset + size))),
    };
    const reader = await McapIndexedReader.Initialize({ readable, decompressHandlers });
    for (const channel of reader.channelsById.values()) {
        topics.set(channel.id, channel.topic);
    }
    for await (const message of reader.readMessages()) {
        tell(message);
    }
} else {
    const reader = new McapStreamReader({ decompressHandlers, validateCrcs: true });
    reader.append(file);
    for (let record; (record = reader.nextRecord()); ) {
        if (record.type === "Channel") {
            topics.set(record.id, record.topic);
        } else if (record.type === "Message") {
            tell(record);
        }
    }
    if (!reader.done()) {
        throw new Error("the file has no end");
    }
}
