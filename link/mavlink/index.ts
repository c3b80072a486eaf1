export { type Endpoint, endpointHelp, openEndpoint, parseEndpoint } from './endpoint.js'
export { encode, FrameReader, message, messageId, type Received, type Sender } from './frames.js'
export { Hub, type HubOptions, type Neighbour } from './hub.js'
export {
  type ArdupilotVehicle,
  ardupilotVehicle,
  type Firmware,
  firmwareOf,
  kindOf,
  modeName,
} from './modes.js'
export { computerStatusFlags, OnboardComputerStatus } from './onboard-computer-status.js'
export { Persistent, type PersistentOptions } from './persistent.js'
export { Serial } from './serial.js'
export { type RefusedFrames, Signing, type SigningOptions, type SigningStore } from './signing.js'
export { loadSigningKey } from './signing-key.js'
export { TcpClient } from './tcp-client.js'
export { TcpServer } from './tcp-server.js'
export type { Address, Exchange, Line, Transport } from './transport.js'
export { Udp } from './udp.js'
