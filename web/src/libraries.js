// Replaced by build.mjs: {name: {path, version}} of the players.
export const LIBRARIES = {};
