# syntax=docker/dockerfile:1
# The image of the gateway and its tools: one static program on distroless, run by a user without rights.
#
#   docker build -t tallywire .                                          for this machine
#   docker buildx build --platform linux/amd64,linux/arm64 -t tallywire .   for both
#
# VERSION and COMMIT are what `tallywire version` says; a build context has no .git.

FROM --platform=$BUILDPLATFORM node:22-alpine AS workbench
WORKDIR /src
COPY client/package.json client/package-lock.json client/
COPY examples/dashboard/package.json examples/dashboard/package-lock.json examples/dashboard/
RUN cd examples/dashboard && npm ci --no-audit --no-fund
COPY client client
COPY examples/dashboard examples/dashboard
RUN cd examples/dashboard && npm run build

FROM --platform=$BUILDPLATFORM golang:1.26-alpine AS build
ARG TARGETOS TARGETARCH VERSION COMMIT
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
COPY --from=workbench /src/examples/dashboard/dist examples/dashboard/dist
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags "-s -w -X main.version=${VERSION} -X main.commit=${COMMIT}" -o /tallywire ./cmd/tallywire

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /tallywire /usr/local/bin/tallywire
USER 65532:65532
EXPOSE 8080 9090
# A gateway that lives answers, whatever its store does: what restarts containers must not empty a cluster
# because Redis is away.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["/usr/local/bin/tallywire", "healthcheck", "--live"]
ENTRYPOINT ["/usr/local/bin/tallywire"]
CMD ["serve"]
