export interface Line { sku: string; price: number | null; count: number }

export class Cart {
  constructor(private lines: Line[]) {}

  total(discount?: { rate: number }): number {
    const sum = this.lines.reduce((whole, line) => whole + priceOf(line), 0);
    return sum * (1 - discount!.rate);
  }
}

export function priceOf(line: Line): number {
  if (line.price === null) {
    throw new TypeError(`no price for ${line.sku}`);
  }
  return line.price * line.count;
}
