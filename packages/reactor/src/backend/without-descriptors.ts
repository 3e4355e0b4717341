/** A socket that has no descriptor: the verbs that need one, or a thread that may block on it, are refused. */
export abstract class SocketWithoutDescriptor {
  /** Throws what the state of the socket says, and otherwise `ENOTSUP`, naming the capability. */
  protected abstract refuse(verb: string, capability: string): never;

  sendDescriptors(): never {
    this.refuse('sendmsg', 'descriptorPassing');
  }

  recvDescriptors(): never {
    this.refuse('recvmsg', 'descriptorPassing');
  }

  getRawOption(): never {
    this.refuse('getsockopt', 'rawOptions');
  }

  setRawOption(): never {
    this.refuse('setsockopt', 'rawOptions');
  }

  detach(): never {
    this.refuse('detach', 'rawDescriptors');
  }

  async transfer(): Promise<never> {
    this.refuse('transfer', 'rawDescriptors');
  }

  recvSync(): never {
    this.refuse('recvSync', 'blocking');
  }

  sendAllSync(): never {
    this.refuse('sendAllSync', 'blocking');
  }

  acceptSync(): never {
    this.refuse('acceptSync', 'blocking');
  }

  connectSync(): never {
    this.refuse('connectSync', 'blocking');
  }
}
