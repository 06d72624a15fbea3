import { Cart } from './cart';

export function checkout(order: { lines: any[]; discount?: { rate: number } }): string {
  const cart = new Cart(order.lines);
  return formatted(cart.total(order.discount));
}

function formatted(amount: number): string {
  return amount.toFixed(2) + ' EUR';
}

if (typeof process !== 'undefined') {
  checkout({ lines: [{ sku: 'tea', price: 3, count: 2 }] });
}
