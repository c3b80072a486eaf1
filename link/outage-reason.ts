import { messageOf } from '@kestrel/runtime'

const explanations: Record<string, string> = {
  ECONNREFUSED: 'nothing listens there (connection refused)',
  EHOSTUNREACH: 'no route to that host',
  ENETUNREACH: 'no network',
  ENOTFOUND: 'no host of that name',
  EAI_AGAIN: 'its name cannot be looked up now',
  ETIMEDOUT: 'no answer',
  ECONNRESET: 'the connection was reset',
  // Return codes of CONNACK [MQTT-3.2.2-6].
  4: 'it does not know this drone any more (revoked, or paired anew since): kestrel-ground pair NAME there, kestrel-agent pair here (docs/pairing.md)',
  5: 'it takes paired drones only: kestrel-ground pair NAME there, kestrel-agent pair here (docs/pairing.md)',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'it is another ground station than the one that this drone was paired with',
  SELF_SIGNED_CERT_IN_CHAIN: 'it is another ground station than the one that this drone was paired with',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    'it is another ground station than the one that this drone was paired with',
  CERT_SIGNATURE_FAILURE: 'it is another ground station than the one that this drone was paired with',
  EPROTO: 'it does not speak TLS there, or not to us',
}

/** Why there is no connection, in words that say what to do where something can be done. */
export function outageReason(error: Error & { code?: string | number }): string {
  const code = String(error.code ?? (error as { errors?: { code?: string }[] }).errors?.[0]?.code ?? '')
  if (error.message === 'connack timeout') return 'it took the connection but does not speak MQTT'
  if (error.message === 'Keepalive timeout') return 'the link is dead (no answer to pings)'
  return explanations[code] ?? messageOf(error)
}
