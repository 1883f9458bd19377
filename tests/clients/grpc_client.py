"""gRPC of a running server, asked by grpcio, which shares no code with it.

    python grpc_client.py ADDRESS:PORT

ADDRESS:PORT is the `control_grpc` of the ready line. Needs grpcio, grpcio-health-checking and
grpcio-reflection. The services are listed by reflection, and the health service is called both by
its generated stub and by what reflection describes. The last line is `N passed, M failed`.
"""

import sys

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

TIMEOUT_SECONDS = 10
HEALTH = "grpc.health.v1.Health"

outcomes = []


def check(name, holds, shown=""):
    outcomes.append(holds)
    print(f"{'ok' if holds else 'FAILED'}: {name} {shown if not holds else ''}".rstrip())


def code_of(call):
    try:
        call()
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def main(address):
    with grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        whole = health_pb2.HealthCheckRequest()
        answer, call = stub.Check.with_call(whole, timeout=TIMEOUT_SECONDS)
        check("the server serves", answer.status == health_pb2.HealthCheckResponse.SERVING, answer)
        metadata = dict(call.initial_metadata())
        check("answers have an id", "x-request-id" in metadata, metadata)
        check("and tell the rate", "ratelimit" in metadata, metadata)
        unknown = health_pb2.HealthCheckRequest(service="no.such.Service")
        code = code_of(lambda: stub.Check(unknown, timeout=TIMEOUT_SECONDS))
        check("an unknown service is not found", code == grpc.StatusCode.NOT_FOUND, code)
        code = code_of(lambda: list(stub.Watch(whole, timeout=0.5)))
        check("a deadline ends a stream", code == grpc.StatusCode.DEADLINE_EXCEEDED, code)
        method = channel.unary_unary("/no.such.Service/Method")
        code = code_of(lambda: method(b"", timeout=TIMEOUT_SECONDS))
        check("an unknown method is unimplemented", code == grpc.StatusCode.UNIMPLEMENTED, code)

        database = ProtoReflectionDescriptorDatabase(channel)
        services = list(database.get_services())
        check("reflection lists services", HEALTH in services, services)
        pool = DescriptorPool(database)
        described = pool.FindServiceByName(HEALTH).FindMethodByName("Check")
        request = message_factory.GetMessageClass(described.input_type)()
        read = message_factory.GetMessageClass(described.output_type).FromString
        method = channel.unary_unary(
            f"/{HEALTH}/Check",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=read,
        )
        answer = method(request, timeout=TIMEOUT_SECONDS)
        check("what reflection describes can be called", answer.status == 1, answer)


if __name__ == "__main__":
    main(sys.argv[1])
    failed = outcomes.count(False)
    print(f"{outcomes.count(True)} passed, {failed} failed")
    sys.exit(1 if failed else 0)
