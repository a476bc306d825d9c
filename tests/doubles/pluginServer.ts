/**
 * Serves a provider plugin that stands for a cloud's own, by the engine's protocol.
 *
 * Pulumi's `provider` module serves one as well, but without the provider's configuration, previews with unknowns and
 * the old inputs, which decide what a real plugin says of drift, imports and replacements.
 */

import { randomBytes } from "node:crypto";
import grpc from "@grpc/grpc-js";
import pluginMessages from "@pulumi/pulumi/proto/plugin_pb.js";
import services from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import messages from "@pulumi/pulumi/proto/provider_pb.js";
import empty from "google-protobuf/google/protobuf/empty_pb.js";
import struct from "google-protobuf/google/protobuf/struct_pb.js";
import { endWithEngine } from "../../infra/dynamic/engineWatch.ts";
import type { ResourceKind } from "./resourceKind.ts";
import type { DeclaredShapes, Misfit, Shape } from "./shapes.ts";
import {
  hasUnknown,
  isEmpty,
  isList,
  isObject,
  type Properties,
  revealed,
  unknown,
  type Value,
} from "./values.ts";

/** A plugin: its package's shapes, its configuration, its kinds of resources. */
export interface Plugin<Cloud> {
  /** Of the Pulumi package. */
  readonly version: string;
  readonly shapes: Pick<DeclaredShapes, "misfits">;
  readonly configShape: Shape;
  /** Makes what reaches the cloud, from the provider's inputs. Reaching it may wait until something is asked of it. */
  connect(config: Properties): Cloud;
  /** Values of inputs that come from the provider's own configuration, such as the region. */
  defaults(cloud: Cloud, shape: Shape): Properties;
  /** By type token. */
  readonly kinds: ReadonlyMap<string, ResourceKind<Cloud>>;
}

/** Serves until the engine ends this process, and prints the port as the engine expects it. */
export async function serve<Cloud>(plugin: Plugin<Cloud>): Promise<void> {
  endWithEngine();
  const server = new grpc.Server({
    "grpc.max_receive_message_length": -1,
    "grpc.max_send_message_length": -1,
  });
  server.addService(services.ResourceProviderService, methodsOf(plugin));
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(
      "127.0.0.1:0",
      grpc.ServerCredentials.createInsecure(),
      (error, bound) => (error === null ? resolve(bound) : reject(error)),
    );
  });
  console.log(String(port));
}

/** Answers a call with a promise's value, or with its error's message. */
function answering<Request, Response>(
  answer: (request: Request) => Promise<Response> | Response,
): grpc.handleUnaryCall<Request, Response> {
  return (call, callback) => {
    new Promise<Response>((resolve) => resolve(answer(call.request))).then(
      (response) => callback(null, response),
      (error: Error) =>
        callback({ code: grpc.status.UNKNOWN, details: error.message }),
    );
  };
}

function methodsOf<Cloud>(
  plugin: Plugin<Cloud>,
): grpc.UntypedServiceImplementation {
  let connected: Cloud | undefined;

  function cloud(): Cloud {
    if (connected === undefined) throw new Error("Configure was not called.");
    return connected;
  }

  function kindOf(urn: string): ResourceKind<Cloud> {
    const type = urn.split("::")[2]?.split("$").pop() ?? "";
    const kind = plugin.kinds.get(type);
    if (kind === undefined) {
      throw new Error(`The stand-in has no resource type ${type}.`);
    }
    return kind;
  }

  return {
    getPluginInfo: answering(() =>
      new pluginMessages.PluginInfo().setVersion(plugin.version),
    ),
    getSchema: answering(() =>
      new messages.GetSchemaResponse().setSchema("{}"),
    ),
    attach: answering(() => new empty.Empty()),
    cancel: answering(() => new empty.Empty()),

    checkConfig: answering((request: InstanceOf<"CheckRequest">) => {
      const given = fromStruct(request.getNews());
      const plain = parsed(revealed(given) as Properties, plugin.configShape);
      return checked(
        given,
        plugin.shapes.misfits(plugin.configShape, withoutVersion(plain)),
      );
    }),

    diffConfig: answering((request: InstanceOf<"DiffRequest">) => {
      const olds = fromStruct(request.getOldInputs());
      const news = fromStruct(request.getNews());
      const changed = namesOf(olds, news).filter(
        (name) => JSON.stringify(olds[name]) !== JSON.stringify(news[name]),
      );
      return difference(changed, [], false);
    }),

    configure: answering((request: InstanceOf<"ConfigureRequest">) => {
      const given = fromStruct(request.getArgs());
      connected = plugin.connect(
        parsed(revealed(given) as Properties, plugin.configShape),
      );
      return new messages.ConfigureResponse().setSupportspreview(true);
    }),

    check: answering((request: InstanceOf<"CheckRequest">) => {
      const kind = kindOf(request.getUrn());
      const olds = fromStruct(request.getOlds());
      const given = present(fromStruct(request.getNews()));
      const inputs = {
        ...plugin.defaults(cloud(), kind.shape),
        ...kind.defaults,
        ...given,
      };
      const made = madeUpName(kind, olds, given, request.getUrn());
      const misfits = plugin.shapes.misfits(kind.shape, inputs);
      return checked(
        { ...inputs, ...made },
        misfits.length > 0
          ? misfits
          : (kind.check?.({ ...inputs, ...made }) ?? []),
      );
    }),

    diff: answering((request: InstanceOf<"DiffRequest">) => {
      const kind = kindOf(request.getUrn());
      const olds = fromStruct(request.getOlds());
      const news = fromStruct(request.getNews());
      const ignored = request.getIgnorechangesList();
      const due = kind.due?.(cloud(), olds) ?? [];
      const changed = [...kind.shape.keys()].filter(
        (name) =>
          !ignored.includes(name) &&
          (due.includes(name) || differs(kind, name, olds, news)),
      );
      const replaces = changed.filter((name) => !kind.updatable.has(name));
      const { nameProperty } = kind;
      return difference(
        changed,
        replaces,
        // As the bridge to Terraform's providers has it: two cannot have one name, unless Pulumi made the name up.
        nameProperty !== undefined && !wasMadeUp(nameProperty, news),
      );
    }),

    create: answering(async (request: InstanceOf<"CreateRequest">) => {
      const kind = kindOf(request.getUrn());
      const inputs = withoutDefaults(fromStruct(request.getProperties()));
      const response = new messages.CreateResponse();
      if (request.getPreview()) {
        return response.setProperties(
          toStruct({ ...pending(kind), ...inputs }),
        );
      }
      const { id, outputs } = await kind.create(cloud(), inputs);
      return response
        .setId(id)
        .setProperties(toStruct({ ...inputs, ...outputs }));
    }),

    read: answering(async (request: InstanceOf<"ReadRequest">) => {
      const kind = kindOf(request.getUrn());
      const known = fromStruct(request.getProperties());
      const inputs = fromStruct(request.getInputs());
      const found = await kind.read(cloud(), request.getId(), known);
      const response = new messages.ReadResponse();
      if (found === undefined) return response;
      return response
        .setId(request.getId())
        .setProperties(toStruct({ ...notReported(kind, known), ...found }))
        .setInputs(
          toStruct(
            isEmpty(inputs) || isEmpty(known)
              ? importedInputs(kind, found)
              : refreshedInputs(kind, inputs, found),
          ),
        );
    }),

    update: answering(async (request: InstanceOf<"UpdateRequest">) => {
      const kind = kindOf(request.getUrn());
      const olds = fromStruct(request.getOlds());
      const news = withoutDefaults(fromStruct(request.getNews()));
      const response = new messages.UpdateResponse();
      if (request.getPreview()) {
        return response.setProperties(toStruct({ ...olds, ...news }));
      }
      const outputs = await kind.update(cloud(), request.getId(), olds, news);
      return response.setProperties(toStruct({ ...news, ...outputs }));
    }),

    delete: answering(async (request: InstanceOf<"DeleteRequest">) => {
      const kind = kindOf(request.getUrn());
      await kind.delete(
        cloud(),
        request.getId(),
        fromStruct(request.getProperties()),
      );
      return new empty.Empty();
    }),
  };
}

type InstanceOf<Name extends keyof typeof messages> =
  (typeof messages)[Name] extends new (
    ...args: never[]
  ) => infer Message
    ? Message
    : never;

function fromStruct(
  value: ReturnType<InstanceOf<"CheckRequest">["getNews"]>,
): Properties {
  return (value?.toJavaScript() ?? {}) as Properties;
}

/** Values that are not there at all cannot be sent, at any depth. */
function toStruct(properties: Properties): struct.Struct {
  return struct.Struct.fromJavaScript(
    JSON.parse(JSON.stringify(present(properties))),
  );
}

/** Without what has no value. */
function present(properties: Properties): Properties {
  return Object.fromEntries(
    Object.entries(properties).filter(
      ([, value]) => value !== undefined && value !== null,
    ),
  );
}

/** The engine adds which plugin a provider is. */
function withoutVersion({ version: _, ...config }: Properties): Properties {
  return config;
}

/** A provider's lists, objects, numbers and truth values arrive as JSON. */
function parsed(config: Properties, shape: Shape): Properties {
  return Object.fromEntries(
    Object.entries(config).map(([name, value]) => [
      name,
      typeof value === "string" && isJson(shape, name)
        ? value === unknown
          ? value
          : (JSON.parse(value) as Value)
        : value,
    ]),
  );
}

function isJson(shape: Shape, name: string): boolean {
  return shape.get(name)?.forms.includes("string") === false;
}

function checked(
  inputs: Properties,
  misfits: readonly Misfit[],
): InstanceOf<"CheckResponse"> {
  return new messages.CheckResponse()
    .setInputs(toStruct(inputs))
    .setFailuresList(
      misfits.map(({ property, reason }) =>
        new messages.CheckFailure().setProperty(property).setReason(reason),
      ),
    );
}

function difference(
  changed: readonly string[],
  replaces: readonly string[],
  deleteFirst: boolean,
): InstanceOf<"DiffResponse"> {
  const { DIFF_NONE, DIFF_SOME } = messages.DiffResponse.DiffChanges;
  const { UPDATE, UPDATE_REPLACE } = messages.PropertyDiff.Kind;
  const response = new messages.DiffResponse().setHasdetaileddiff(true);
  for (const name of changed) {
    const kind = replaces.includes(name) ? UPDATE_REPLACE : UPDATE;
    response
      .getDetaileddiffMap()
      .set(name, new messages.PropertyDiff().setKind(kind));
  }
  return response
    .setChanges(changed.length > 0 ? DIFF_SOME : DIFF_NONE)
    .setDiffsList([...changed])
    .setReplacesList([...replaces])
    .setDeletebeforereplace(replaces.length > 0 && deleteFirst);
}

/** Names of inputs that the plugin filled in; where the bridge to Terraform's providers keeps them, too. */
const defaultsKey = "__defaults";

function withoutDefaults({
  [defaultsKey]: _,
  ...inputs
}: Properties): Properties {
  return inputs;
}

function wasMadeUp(name: string, inputs: Properties): boolean {
  const defaults = inputs[defaultsKey];
  return isList(defaults) && defaults.includes(name);
}

/** Bytes of chance in a made-up name. */
const nameBytes = 4;

/** The name of a resource that was given none: the one it has, or a new one. */
function madeUpName<Cloud>(
  { nameProperty }: ResourceKind<Cloud>,
  olds: Properties,
  given: Properties,
  urn: string,
): Properties {
  if (nameProperty === undefined || given[nameProperty] !== undefined) {
    return {};
  }
  const old = wasMadeUp(nameProperty, olds) ? olds[nameProperty] : undefined;
  const name = urn.split("::").slice(3).join("::");
  const made = `${name}-${randomBytes(nameBytes).toString("hex").slice(1)}`;
  return { [nameProperty]: old ?? made, [defaultsKey]: [nameProperty] };
}

function namesOf(...all: readonly Properties[]): string[] {
  return [...new Set(all.flatMap((properties) => Object.keys(properties)))];
}

function differs<Cloud>(
  kind: ResourceKind<Cloud>,
  name: string,
  olds: Properties,
  news: Properties,
): boolean {
  const [old, wanted] = [olds[name], news[name]];
  const isLeftOut = wanted === undefined || wanted === null || wanted === "";
  if (isEmpty(wanted)) {
    return !(isLeftOut && kind.computed.has(name)) && !isEmpty(old);
  }
  if (hasUnknown(wanted)) return true;
  if (isEmpty(old)) return true;
  const isMap = kind.shape
    .get(name)
    ?.forms.some((form) => form.startsWith("{"));
  const same = kind.same?.[name] ?? (isMap ? sameMap : sameValue);
  return !same(old as Value, wanted as Value);
}

/** Whether what is there is what is wanted; details that nobody asked for are the cloud's own. */
function sameValue(old: Value, wanted: Value): boolean {
  if (isList(wanted)) {
    return (
      isList(old) &&
      old.length === wanted.length &&
      wanted.every((item, index) => sameValue(old[index] ?? null, item))
    );
  }
  if (isObject(wanted)) {
    return (
      isObject(old) &&
      Object.entries(wanted).every(
        ([name, value]) =>
          isEmpty(value) || sameValue(old[name] ?? null, value as Value),
      )
    );
  }
  return old === wanted;
}

/** Tags and the like: nothing missing, nothing more. */
function sameMap(old: Value, wanted: Value): boolean {
  return sameValue(old, wanted) && sameValue(wanted, old);
}

/** Outputs of something that is not there yet. */
function pending<Cloud>(kind: ResourceKind<Cloud>): Properties {
  const names = [...kind.outputs, ...kind.computed];
  return Object.fromEntries(names.map((name) => [name, unknown]));
}

/** What the cloud never tells stays what it was said to be. */
function notReported<Cloud>(
  kind: ResourceKind<Cloud>,
  known: Properties,
): Properties {
  return Object.fromEntries(
    [...(kind.unread ?? [])].map((name) => [name, known[name]]),
  );
}

function importedInputs<Cloud>(
  kind: ResourceKind<Cloud>,
  found: Properties,
): Properties {
  return Object.fromEntries(
    Object.entries(found).filter(
      ([name, value]) => kind.shape.has(name) && !isEmpty(value),
    ),
  );
}

/** The same inputs, with the values that the cloud has for them now. */
function refreshedInputs<Cloud>(
  kind: ResourceKind<Cloud>,
  inputs: Properties,
  found: Properties,
): Properties {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, value]) => {
      const isSame =
        kind.unread?.has(name) ||
        !kind.shape.has(name) ||
        !differs(kind, name, found, inputs);
      return [name, isSame ? value : found[name]];
    }),
  );
}
